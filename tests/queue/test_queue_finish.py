"""Claims and their ends: each is told once, and only whoever holds the current fence can end a task."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from queue_kit import House, Reader, run_through
from support.samples import FAILURE, artifact

from wan22.errors import Cancelled
from wan22.queue import Claim, Queue
from wan22.tasks import Event, Status

FINISHES: dict[str, Callable[[Queue, Claim], bool]] = {
    "complete": lambda queue, claim: queue.complete(claim, [artifact()], peak_vram_bytes=9),
    "fail": lambda queue, claim: queue.fail(claim, FAILURE),
    "stop": lambda queue, claim: queue.stop(claim),
    "release": lambda queue, claim: queue.release(claim),
}

finishes = pytest.mark.parametrize("finish", FINISHES.values(), ids=FINISHES.keys())


def test_an_empty_queue_has_nothing_to_claim(house: House) -> None:
    assert house.queue.claim() is None


def test_a_claim_runs_under_a_higher_fence_each_time(house: House) -> None:
    first = house.running()
    house.queue.release(first)
    second = house.claim()
    assert (first.fence, second.fence) == (1, 2)
    assert second.task.status is Status.RUNNING
    assert second.task.started_at == house.clock.at


def test_a_completed_task_has_all_that_the_run_made(house: House) -> None:
    claim = house.running()
    run_through(claim)
    assert house.queue.complete(claim, [artifact(0), artifact(1)], peak_vram_bytes=123)
    done = house.queue.get(claim.task.task_id)
    assert (done.status, done.phase, done.progress) == (Status.COMPLETED, None, 1.0)
    assert done.outputs == (artifact(0), artifact(1))
    assert done.peak_vram_bytes == 123
    assert (done.step, done.total_steps, done.finished_at) == (4, 4, house.clock.at)
    assert done.timings.total_s is not None


def test_a_failed_task_says_why_and_how_far_it_came(house: House) -> None:
    claim = house.running()
    run_through(claim)
    reached = house.queue.get(claim.task.task_id).progress
    assert house.queue.fail(claim, FAILURE)
    failed = house.queue.get(claim.task.task_id)
    assert (failed.status, failed.error, failed.progress) == (Status.FAILED, FAILURE, reached)


def test_a_released_task_is_next_again_and_was_no_attempt(house: House) -> None:
    claim = house.running()
    house.submit()
    assert house.queue.release(claim)
    waiting = house.queue.get(claim.task.task_id)
    assert (waiting.status, waiting.attempts, waiting.started_at) == (Status.QUEUED, 0, None)
    assert house.queue.position(waiting.task_id) == 1


def test_a_released_task_that_was_to_be_cancelled_is(house: House) -> None:
    claim = house.running()
    house.queue.cancel(claim.task.task_id)
    assert house.queue.release(claim)
    assert house.queue.get(claim.task.task_id).status is Status.CANCELLED


@finishes
@pytest.mark.parametrize("spoil", [*FINISHES.values(), lambda queue, claim: queue.delete(claim.task.task_id)])
def test_a_second_end_changes_nothing_and_tells_nobody(
    house: House, finish: Callable[[Queue, Claim], bool], spoil: Callable[[Queue, Claim], bool]
) -> None:
    claim = house.running()
    spoil(house.queue, claim)
    before, events = house.queue.list(), house.stored_events()
    assert not finish(house.queue, claim)
    assert (house.queue.list(), house.stored_events()) == (before, events)


@finishes
def test_a_late_run_cant_end_what_another_has_claimed(house: House, finish: Callable[[Queue, Claim], bool]) -> None:
    late = house.running()
    house.start()
    current = house.claim()
    assert not finish(house.queue, late)
    assert house.queue.get(late.task.task_id).fence == current.fence == 2
    assert house.queue.complete(current, [])


def test_a_heartbeat_tells_whether_the_run_still_counts(house: House) -> None:
    claim = house.running()
    assert house.queue.heartbeat(claim)
    house.queue.delete(claim.task.task_id)
    assert not house.queue.heartbeat(claim)


@pytest.mark.parametrize(
    ("name", "type", "told"),
    [
        ("complete", "task.completed", {"status": "completed", "outputs": 1, "error": None}),
        ("fail", "task.failed", {"status": "failed", "outputs": 0, "error": FAILURE.model_dump()}),
        ("stop", "task.cancelled", {"status": "cancelled", "outputs": 0, "error": None}),
        ("release", "task.queued", {"status": "queued", "position": 1}),
    ],
)
def test_the_event_of_an_end_is_enough_to_go_by(house: House, name: str, type: str, told: dict[str, object]) -> None:
    claim = house.running()
    FINISHES[name](house.queue, claim)
    last: Event = house.stored_events()[-1]
    assert (last.type.value, last.task_id) == (type, claim.task.task_id)
    assert last.data == {**told, "model_type": "T2V-A14B"}


def test_a_whole_life_is_told_in_order(house: House) -> None:
    reader = Reader(house.feed)
    claim = house.running()
    run_through(claim)
    house.queue.complete(claim, [])
    assert reader.types() == ["queued", "started", "completed"], "progress is of no use once the task has ended"


def test_a_run_that_has_ended_is_silent(house: House) -> None:
    claim = house.running()
    house.queue.stop(claim)
    reader = Reader(house.feed)
    run_through(claim)
    claim.reporter.preview(b"jpeg", width=8, height=8)
    assert reader.types() == []


def test_halting_stops_the_run_and_leaves_the_task(house: House) -> None:
    claim = house.running()
    claim.reporter.check()
    claim.halt()
    with pytest.raises(Cancelled):
        claim.reporter.check()
    assert not house.queue.cancel_requested(claim.task.task_id)
    assert house.queue.release(claim)

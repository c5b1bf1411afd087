"""Recovery: after any end of the server, what was running is cancelled, failed or queued again, and told."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from queue_kit import House, Reader, opened, run_through
from support.samples import WORK, task

from wan22.errors import WorkerCrashed
from wan22.tasks import EventType, Status


def test_a_run_that_died_with_the_server_is_next_again(house: House) -> None:
    claim = house.running()
    house.submit()
    assert house.start() == 1
    again = house.claim()
    assert again.task.task_id == claim.task.task_id
    assert (again.task.attempts, again.fence) == (2, 2)


def test_a_task_that_died_too_often_fails_with_a_cause(house: House) -> None:
    task_id = house.running().task.task_id
    house.start()
    house.claim()
    house.start()
    failed = house.queue.get(task_id)
    assert (failed.status, failed.attempts) == (Status.FAILED, 2)
    assert failed.error
    assert (failed.error.code, failed.error.hint) == (WorkerCrashed.code, WorkerCrashed.default_hint)
    assert failed.finished_at == house.clock.at


def test_a_graceful_stop_is_no_attempt(house: House) -> None:
    house.submit()
    for _ in range(5):
        house.queue.release(house.claim())
        house.start()
    assert house.claim().task.attempts == 1


def test_a_task_that_was_to_be_cancelled_is_cancelled(house: House) -> None:
    claim = house.running()
    house.queue.cancel(claim.task.task_id)
    house.start()
    assert house.queue.get(claim.task.task_id).status is Status.CANCELLED


def test_what_waits_or_has_ended_is_left_alone(house: House) -> None:
    house.queue.complete(house.running(), [])
    house.submit()
    before = house.queue.list()
    assert house.start() == 0
    assert house.queue.list() == before


def test_each_is_told_of_to_those_who_come_back(house: House) -> None:
    crashed, cancelled, waiting = (house.running().task.task_id for _ in range(3))
    house.max_attempts = 1
    house.queue.cancel(cancelled)
    house.queue.delete(waiting)
    last = house.stored_events()[-1].id
    house.start()
    told = {event.task_id: event for event in Reader(house.feed, after=last).take_all()}
    assert {each: event.type for each, event in told.items()} == {
        crashed: EventType.TASK_FAILED,
        cancelled: EventType.TASK_CANCELLED,
    }
    assert told[crashed].data["error"]["code"] == WorkerCrashed.code


def test_positions_are_told_as_they_are(house: House) -> None:
    for priority in (5, 0):
        house.running(priority=priority)
    house.submit(priority=3)
    house.start()
    told = [event.data["position"] for event in house.stored_events()[-2:]]
    assert told == [1, 3]


def test_what_runs_under_this_start_is_left_alone() -> None:
    with opened(max_attempts=1) as house:
        running, cancelling = house.running(), house.running()
        house.queue.cancel(cancelling.task.task_id)
        assert house.queue.recover() == 0
        assert house.queue.complete(running, [])
        assert house.queue.stop(cancelling)


def test_the_worker_is_woken(house: House) -> None:
    called: list[bool] = []
    house.queue.on_work = lambda: called.append(True)
    house.queue.recover()
    assert called == [True]


def test_the_pace_is_learned_from_what_was_completed(house: House) -> None:
    claim = house.running()
    run_through(claim)
    house.queue.complete(claim, [])
    house.start()
    assert house.queue.eta_s(house.submit()) is not None


def test_the_clock_going_back_a_year_loses_nothing(house: House) -> None:
    first, second = house.submit().task_id, None
    house.clock.pass_(days=-365)
    second = house.submit().task_id
    assert house.claim().task.task_id == first
    house.clock.pass_(days=-365)
    house.start()
    claim = house.claim()
    assert claim.task.task_id == first
    house.queue.complete(claim, [])
    done = house.queue.get(first)
    assert done.timings.queued_s == 0.0, "no time is negative"
    assert [each.task_id for each in house.queue.list().tasks] == [second, first]


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_no_hindrance(tmp_path: Path) -> None:
    """The promise is two seconds; the ceiling here is what no busy machine should need."""
    path = tmp_path / "wan22.db"
    with opened(path) as house:
        house.store.write(lambda t: [t.tasks.add(task(), pace="p", work=WORK) for _ in range(100_000)])
        at, boot_id = house.clock.at, house.feed.boot_id
        first = house.store.read(lambda t: t.tasks.waiting(limit=1_000))
        house.store.write(lambda t: [t.tasks.claim(one.task_id, boot_id=boot_id, at=at) for one in first])
    start = time.monotonic()
    with opened(path) as house:
        assert time.monotonic() - start < 20
        assert house.queue.counts()[Status.QUEUED] == 100_000
        assert len(house.stored_events()) == 1_000

"""Cancel, delete, retry: what each does in each status, and that no string upsets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_kit import House, Reader, opened, run_through
from support.samples import FAILURE, plan

from wan22.errors import Cancelled, NotFound, QueueFull, WrongState
from wan22.queue import Queue
from wan22.tasks import ImageRef, Status

ENDED = [Status.COMPLETED, Status.FAILED, Status.CANCELLED]

VERBS: list[Callable[[Queue, str], Any]] = [
    Queue.get,
    Queue.cancel,
    Queue.retry,
    Queue.delete,
    Queue.position,
    Queue.cancel_requested,
]


def ended(house: House, status: Status) -> str:
    """The id of a task that has come to this end."""
    claim = house.running()
    if status is Status.COMPLETED:
        house.queue.complete(claim, [])
    elif status is Status.FAILED:
        house.queue.fail(claim, FAILURE)
    else:
        house.queue.stop(claim)
    return claim.task.task_id


def test_a_waiting_task_is_cancelled_at_once(house: House) -> None:
    task = house.submit()
    cancelled = house.queue.cancel(task.task_id)
    assert cancelled == house.queue.get(task.task_id)
    assert (cancelled.status, cancelled.finished_at) == (Status.CANCELLED, house.clock.at)
    assert house.queue.claim() is None
    assert house.queue.position(task.task_id) is None


def test_a_running_task_is_asked_to_stop_as_often_as_you_like(house: House) -> None:
    claim = house.running()
    task_id = claim.task.task_id
    claim.reporter.check()
    for _ in range(3):
        assert house.queue.cancel(task_id).status is Status.RUNNING
    assert house.queue.cancel_requested(task_id)
    with pytest.raises(Cancelled):
        claim.reporter.check()
    assert house.queue.stop(claim)
    assert house.queue.get(task_id).status is Status.CANCELLED


def test_a_run_that_had_just_made_its_files_completes_in_spite_of_a_cancel(house: House) -> None:
    claim = house.running()
    house.queue.cancel(claim.task.task_id)
    assert house.queue.complete(claim, [])
    assert house.queue.get(claim.task.task_id).status is Status.COMPLETED


@pytest.mark.parametrize("status", ENDED)
def test_what_has_ended_cant_be_cancelled(house: House, status: Status) -> None:
    task_id = ended(house, status)
    with pytest.raises(WrongState, match=status.value):
        house.queue.cancel(task_id)
    assert house.queue.get(task_id).status is status


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_a_retry_is_a_new_task_of_the_same_request(house: House, status: Status) -> None:
    old = house.queue.get(ended(house, status))
    new = house.queue.retry(old.task_id)
    assert new.task_id > old.task_id
    assert (new.request, new.plan) == (old.request, old.plan)
    assert (new.status, new.attempts, new.error) == (Status.QUEUED, 0, None)
    assert house.queue.get(old.task_id) == old


def test_a_retry_may_bring_a_newer_plan(house: House) -> None:
    old, newer = ended(house, Status.FAILED), plan(device="cuda:0")
    assert house.queue.retry(old, plan=newer).plan == newer


def test_a_picture_is_referred_to_while_a_task_has_it(house: House) -> None:
    picture = ImageRef(id="upl_" + "0" * 32, width=8, height=8)
    task = house.submit(image=picture)
    assert house.queue.refers_to(picture.id)
    house.queue.delete(task.task_id)
    assert not house.queue.refers_to(picture.id)


@pytest.mark.parametrize("make", [House.submit, lambda house: house.running().task])
def test_what_has_not_ended_cant_be_retried(house: House, make: Callable[[House], Any]) -> None:
    with pytest.raises(WrongState, match="failed or cancelled"):
        house.queue.retry(make(house).task_id)


def test_a_completed_task_cant_be_retried(house: House) -> None:
    with pytest.raises(WrongState, match="completed"):
        house.queue.retry(ended(house, Status.COMPLETED))


def test_a_retry_needs_room_as_any_task() -> None:
    with opened(max_queued=1) as house:
        task_id = ended(house, Status.FAILED)
        house.submit()
        with pytest.raises(QueueFull):
            house.queue.retry(task_id)


@pytest.mark.parametrize("status", ENDED)
def test_deleting_what_has_ended_leaves_nothing(house: House, status: Status) -> None:
    task_id, other = ended(house, status), house.submit()
    house.queue.delete(task_id)
    with pytest.raises(NotFound):
        house.queue.get(task_id)
    assert {event.task_id for event in house.stored_events()} == {other.task_id}
    assert {event.task_id for event in Reader(house.feed, after=0).take_all()} == {other.task_id}


def test_deleting_a_waiting_task_cancels_it_and_says_so(house: House) -> None:
    task = house.submit()
    reader = Reader(house.feed, after=0)
    house.queue.delete(task.task_id)
    assert house.queue.claim() is None
    assert reader.types() == ["cancelled"] == Reader(house.feed, after=0).types()


def test_deleting_a_running_task_stops_its_run_for_good(house: House) -> None:
    claim = house.running()
    house.queue.delete(claim.task.task_id)
    with pytest.raises(Cancelled):
        claim.reporter.check()
    reader = Reader(house.feed)
    run_through(claim)
    assert house.queue.cancel_requested(claim.task.task_id)
    assert not house.queue.stop(claim)
    assert reader.take_all() == []
    assert house.queue.list().tasks == ()


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_task_is_not_found(house: House, verb: Callable[[Queue, str], Any]) -> None:
    unknown = "01234567-89ab-7def-8123-456789abcdef"
    if verb is Queue.position:
        assert house.queue.position(unknown) is None
    elif verb is Queue.cancel_requested:
        assert house.queue.cancel_requested(unknown), "nothing is to run for a record that is gone"
    else:
        with pytest.raises(NotFound, match=unknown):
            verb(house.queue, unknown)


@given(text=st.text() | st.sampled_from(["\ud800", "' OR 1=1 --", "%", "\x00", "x" * 10_000, "٠" * 36]))
def test_no_string_is_more_than_not_found(house_for_all: House, text: str) -> None:
    for verb in VERBS:
        with pytest.raises(NotFound):
            verb(house_for_all.queue, text)

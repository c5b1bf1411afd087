"""Accepting: durable when it returns, bounded, and the same request twice is one task."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from queue_kit import House, Reader, opened
from support.samples import plan, request

from wan22.errors import IdempotencyMismatch, InvalidRequest, QueueFull
from wan22.queue import Feed, Queue
from wan22.settings import QueueSettings
from wan22.tasks import Status


def test_an_accepted_task_is_there_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path / "wan22.db") as house:
        accepted = house.submit(prompt="a dog", priority=3)
    with opened(tmp_path / "wan22.db") as house:
        assert house.queue.get(accepted.task_id) == accepted
        assert house.claim().task.request.prompt == "a dog"


def test_ids_are_version_7_and_grow(house: House) -> None:
    ids = [house.submit().task_id for _ in range(20)]
    assert ids == sorted(ids)
    assert {UUID(each).version for each in ids} == {7}


def test_readers_hear_of_it_with_its_position(house: House) -> None:
    reader = Reader(house.feed)
    house.submit()
    house.submit(priority=1)
    events = reader.take_all()
    assert [event.data["position"] for event in events] == [1, 1]
    assert {event.data["model_type"] for event in events} == {"T2V-A14B"}


def test_the_worker_is_woken_once_it_is_committed(house: House) -> None:
    seen: list[int] = []
    house.queue.on_work = lambda: seen.append(house.queue.counts()[Status.QUEUED])
    house.submit()
    house.submit()
    assert seen == [1, 2]


def test_one_too_many_is_refused_until_one_is_claimed() -> None:
    with opened(max_queued=2) as house:
        house.submit()
        house.submit()
        with pytest.raises(QueueFull) as caught:
            house.submit()
        assert 1 <= caught.value.retry_after_s <= 120
        house.claim()
        house.submit()
        assert house.queue.counts()[Status.QUEUED] == 2


def test_room_can_be_asked_for_before_anything_is_stored() -> None:
    with opened(max_queued=1) as house:
        house.queue.check_room()
        house.submit()
        with pytest.raises(QueueFull):
            house.queue.check_room()
        assert len(house.queue.list().tasks) == 1


def test_the_same_key_and_body_are_the_same_task(house: House) -> None:
    def submit(key: str | None, fingerprint: str = "f") -> str:
        return house.queue.submit(request(), plan(), idempotency_key=key, fingerprint=fingerprint).task_id

    assert submit("k") == submit("k")
    assert submit("other") != submit("k")
    assert submit(None) != submit(None)
    with pytest.raises(IdempotencyMismatch, match="another body"):
        submit("k", "g")


def test_a_repeated_submit_is_answered_even_when_the_queue_is_full() -> None:
    with opened(max_queued=1) as house:
        first = house.queue.submit(request(), plan(), idempotency_key="k")
        assert house.queue.submit(request(), plan(), idempotency_key="k") == first


def test_a_repeated_submit_shows_what_became_of_the_task(house: House) -> None:
    house.queue.submit(request(), plan(), idempotency_key="k")
    house.queue.complete(house.claim(), [])
    again = house.queue.submit(request(), plan(), idempotency_key="k")
    assert again.status is Status.COMPLETED


def test_a_key_is_forgotten_after_a_day(house: House) -> None:
    first = house.queue.submit(request(), plan(), idempotency_key="k")
    house.clock.pass_(hours=23.9)
    assert house.queue.find_submitted("k", "") == first
    house.clock.pass_(hours=0.2)
    assert house.queue.find_submitted("k", "") is None
    assert house.queue.submit(request(), plan(), idempotency_key="k", fingerprint="g") != first
    assert house.queue.get(first.task_id) == first


def test_looking_for_a_key_finds_the_task_or_says_that_it_is_another(house: House) -> None:
    accepted = house.queue.submit(request(), plan(), idempotency_key="k", fingerprint="f")
    assert house.queue.find_submitted("k", "f") == accepted
    assert house.queue.find_submitted("unknown", "f") is None
    with pytest.raises(IdempotencyMismatch):
        house.queue.find_submitted("k", "g")


@pytest.mark.parametrize("key", ["", "  ", "x" * 256, "\ud800", "a\x00b", "line\nbreak", "ключ"])
def test_a_key_that_cant_be_one_is_refused_by_name(house: House, key: str) -> None:
    with pytest.raises(InvalidRequest, match="Idempotency-Key"):
        house.queue.submit(request(), plan(), idempotency_key=key)


def test_queues_over_one_store_share_nothing_but_the_store(house: House) -> None:
    """The next start of the server sees everything, and numbers its events after all of the last."""
    house.submit()
    later = Feed(house.store)
    accepted = Queue(house.store, later, QueueSettings()).submit(request(), plan())
    assert house.queue.get(accepted.task_id) == accepted
    ids = [event.id for event in house.stored_events()]
    assert ids == sorted(ids)
    assert ids[-1] >> 32 == later.boot_id == house.feed.boot_id + 1

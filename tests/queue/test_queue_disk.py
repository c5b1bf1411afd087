"""A full disk: no task is accepted that can't be kept, none is lost, and ends are still told once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from queue_kit import House, Reader
from support.disk import SmallDisk
from support.samples import artifact

from wan22.errors import DiskFull
from wan22.store import Store
from wan22.store.database import Database
from wan22.tasks import EventType, Status


@pytest.fixture
def database() -> Database:
    return Database(None)


@pytest.fixture
def disk(database: Database) -> SmallDisk:
    return SmallDisk(database)


@pytest.fixture
def house(database: Database, disk: SmallDisk) -> Iterator[House]:
    store = Store(database, reserve=disk)
    yield House(store)
    store.close()


def fill(house: House) -> list[str]:
    """Submit until the disk is full; the ids of what was accepted."""
    accepted = []
    with pytest.raises(DiskFull):
        accepted.extend(house.submit().task_id for _ in iter(int, 1))
    return accepted


def test_what_was_accepted_is_kept_and_told_and_what_was_not_is_neither(house: House, disk: SmallDisk) -> None:
    disk.hold(100)
    accepted = fill(house)
    assert Status.QUEUED in house.queue.counts(), "reading goes on"
    reader = Reader(house.feed, after=0)
    disk.hold(10_000)
    accepted.append(house.submit().task_id)
    assert [event.task_id for event in reader.take_all()] == accepted
    assert [house.claim().task.task_id for _ in accepted] == accepted


def test_a_run_that_ends_on_a_full_disk_is_recorded_and_told_once(house: House, disk: SmallDisk) -> None:
    claim = house.running()
    disk.hold(100)
    fill(house)
    reader = Reader(house.feed)
    assert disk.has_reserve
    assert house.queue.complete(claim, [artifact(n) for n in range(100)])
    assert not disk.has_reserve
    assert house.queue.get(claim.task.task_id).status is Status.COMPLETED
    assert reader.types() == ["completed"]
    house.submit()
    assert reader.types() == ["queued"], "nothing is held up by the try that failed"


def test_of_two_tries_only_the_second_is_told(house: House, disk: SmallDisk) -> None:
    reader = Reader(house.feed)
    disk.hold(60)
    house.feed.transact(
        lambda _, emit: [emit(EventType.MODEL_LOADED, None, {"text": "x" * 1_000}) for _ in range(200)], vital=True
    )
    assert not disk.has_reserve
    told = reader.take_all()
    assert len(told) == 200
    assert told == house.stored_events()


def test_tasks_can_be_deleted_to_make_room(house: House, disk: SmallDisk) -> None:
    disk.hold(100)
    for task_id in fill(house):
        house.queue.delete(task_id)
    assert house.queue.list().tasks == ()

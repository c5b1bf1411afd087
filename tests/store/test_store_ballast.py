"""On a full disk the end of a task can still be recorded, in the space held back for it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from store_kit import add, claim, find
from support.disk import SmallDisk
from support.samples import WORK, task

from wan22.errors import DiskFull
from wan22.store import Store
from wan22.store.ballast import SIZE_BYTES, Ballast
from wan22.store.database import Database
from wan22.tasks import Status


def fill(store: Store) -> None:
    """Add tasks until there is no space left."""
    with suppress(DiskFull):
        while True:
            add(store)


def test_a_finish_is_recorded_though_no_new_task_can_be() -> None:
    database = Database(None)
    disk = SmallDisk(database)
    store = Store(database, reserve=disk)
    add(store)
    running = claim(store)
    assert running
    disk.hold(60)
    fill(store)
    assert disk.has_reserve, "accepting a task is not worth the reserve"
    ended = running.with_(status=Status.FAILED, fallbacks=("x" * 40_000,))
    assert store.write(lambda tables: tables.tasks.move(running, ended), vital=True)
    assert find(store, running.task_id) == ended
    store.close()


def test_without_a_reserve_a_vital_write_fails_as_any_other() -> None:
    database = Database(None)
    disk = SmallDisk(database)
    disk.has_reserve = False
    store = Store(database, reserve=disk)
    disk.hold(60)
    with pytest.raises(DiskFull):
        store.write(lambda tables: [tables.tasks.add(task(), pace="p", work=WORK) for _ in range(500)], vital=True)
    store.close()


def test_the_ballast_is_real_bytes_made_at_each_start_and_dropped_once(tmp_path: Path) -> None:
    path = tmp_path / "ballast"
    for _ in range(2):
        ballast = Ballast(path)
        ballast.make()
        assert path.stat().st_size == SIZE_BYTES
        assert ballast.drop()
        assert not ballast.drop()


def test_a_disk_without_room_for_the_ballast_is_no_reason_not_to_start(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "missing folder" / "ballast")
    ballast.make()
    assert not ballast.drop()


def test_opening_a_store_holds_space_back(tmp_path: Path) -> None:
    Store.open(tmp_path / "wan22.db").close()
    assert (tmp_path / "wan22.db.ballast").stat().st_size == SIZE_BYTES

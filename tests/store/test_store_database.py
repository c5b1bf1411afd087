"""One connection on one thread: transactions, errors as ours, and who is told what when."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wan22.errors import DiskFull, StoreError
from wan22.store.database import Database

BOOT = "INSERT INTO meta (key, value) VALUES (?, ?)"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "wan22.db")
    yield opened
    opened.close()


def count(database: Database) -> int:
    return database.read(lambda connection: int(connection.execute("SELECT count(*) FROM meta").fetchone()[0]))


def fill(connection: sqlite3.Connection) -> None:
    """Write until the pages run out."""
    for n in range(100_000):
        connection.execute(BOOT, (f"{n}" * 100, n))


def test_a_write_is_there_after_reopening(tmp_path: Path) -> None:
    for n in range(3):
        database = Database(tmp_path / "wan22.db")
        database.write(lambda connection, n=n: connection.execute(BOOT, (f"k{n}", n)))
        assert count(database) == n + 1
        database.close()


def test_a_write_that_raises_leaves_nothing(database: Database) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute(BOOT, ("k", 1))
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        database.write(work)
    assert count(database) == 0
    assert database.read(lambda connection: connection.in_transaction) is False


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10_000), ("user_version", 7)],
)
def test_the_connection_is_set_up_to_lose_nothing(database: Database, pragma: str, value: object) -> None:
    assert database.read(lambda connection: connection.execute(f"PRAGMA {pragma}").fetchone()[0]) == value


def test_every_closure_runs_on_the_one_thread(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        threads = pool.map(lambda _: database.read(lambda _: threading.get_ident()), range(50))
    assert len(set(threads)) == 1


def test_an_error_of_sqlite_leaves_as_ours_with_its_cause(database: Database) -> None:
    with pytest.raises(StoreError, match="no such table") as caught:
        database.read(lambda connection: connection.execute("SELECT * FROM nowhere"))
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert caught.value.hint


def test_a_full_disk_is_named_and_survived(database: Database) -> None:
    database.write(lambda connection: connection.execute(BOOT, ("before", 1)))
    database.read(lambda connection: connection.execute("PRAGMA max_page_count = 40"))
    with pytest.raises(DiskFull, match="no space"):
        database.write(fill)
    assert count(database) == 1
    database.read(lambda connection: connection.execute("PRAGMA max_page_count = 4000"))
    database.write(lambda connection: connection.execute(BOOT, ("after", 1)))
    assert database.read(lambda connection: connection.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"


def test_settled_is_told_before_the_caller_and_on_the_stores_thread(database: Database) -> None:
    told: list[tuple[bool, str]] = []

    def settled(committed: bool) -> None:
        told.append((committed, threading.current_thread().name))

    database.write(lambda connection: connection.execute(BOOT, ("k", 1)), settled=settled)
    with pytest.raises(StoreError):
        database.write(lambda connection: connection.execute(BOOT, ("k", 2)), settled=settled)
    assert told == [(True, "wan22-store"), (False, "wan22-store")]


def test_a_call_from_the_stores_own_thread_is_refused_not_waited_for(database: Database) -> None:
    with pytest.raises(RuntimeError, match="own thread"):
        database.read(lambda _: count(database))


def test_closing_finishes_what_was_handed_in(tmp_path: Path) -> None:
    database = Database(tmp_path / "wan22.db")
    with ThreadPoolExecutor(4) as pool:
        written = [
            pool.submit(database.write, lambda connection, n=n: connection.execute(BOOT, (f"k{n}", n)))
            for n in range(20)
        ]
        for future in written:
            future.result()
        database.close()
    reopened = Database(tmp_path / "wan22.db")
    assert count(reopened) == 20
    reopened.close()


def test_a_closed_database_says_so_and_closes_again(database: Database) -> None:
    database.close()
    database.close()
    with pytest.raises(StoreError, match="closed"):
        count(database)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wan22.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match=r"opening .*wan22\.db"):
        Database(path)

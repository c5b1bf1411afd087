"""The store of a data folder: lock, database and tables as one thing that is opened and closed.

The only room that speaks SQL. What a row means for the one who sent the task is left to `queue`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from wan22.errors import ConfigurationError, DiskFull
from wan22.locks import FileLock
from wan22.store.alerts import AlertTable
from wan22.store.ballast import Ballast
from wan22.store.database import Database
from wan22.store.events import EventTable
from wan22.store.meta import MetaTable
from wan22.store.metrics import MetricTable
from wan22.store.tasks import TaskTable

T = TypeVar("T")


@dataclass(frozen=True)
class Tables:
    """All tables, for one closure on the store's thread. Never kept, and never used on another thread."""

    tasks: TaskTable
    events: EventTable
    meta: MetaTable
    metrics: MetricTable
    alerts: AlertTable

    @classmethod
    def on(cls, connection: sqlite3.Connection) -> Tables:
        """The tables of this connection."""
        return cls(
            TaskTable(connection),
            EventTable(connection),
            MetaTable(connection),
            MetricTable(connection),
            AlertTable(connection),
        )


class Reserve(Protocol):
    """Something that can free space once: `Ballast`."""

    def drop(self) -> bool:
        """Free it; False if there is nothing left to free."""


def _lock_folder_of(path: Path) -> FileLock:
    """Keeps a second server out. Raises ConfigurationError, which names the first one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(path.name + ".lock"))
        if lock.take():
            return lock
        holder = lock.holder()
    except OSError as error:
        raise ConfigurationError(
            f"The folder {path.parent} can't be used: {error}. Make it writable, or name another with WAN22_HOME."
        ) from error
    lock.release()
    raise ConfigurationError(
        f"Another server ({holder}) is using {path.parent}. "
        "Stop it first, or give this one its own folder with WAN22_HOME."
    )


class Store:
    """Reads and writes as closures over `Tables`; callable from any thread but the store's own.

    Raises DiskFull and StoreError. A closure's own exceptions leave as they are, and undo what it wrote.
    """

    def __init__(self, database: Database, *, reserve: Reserve | None = None, lock: FileLock | None = None) -> None:
        self._database = database
        self._reserve = reserve
        self._lock = lock

    @classmethod
    def open(cls, path: Path | None) -> Store:
        """The store in the file at `path`, made with its folder if need be; in memory, gone at the end, if None.

        Raises ConfigurationError if another server uses it, a newer one made it, or the folder can't be written;
        StoreError if the file is no database.
        """
        if path is None:
            return cls(Database(None))
        with ExitStack() as undo:
            lock = _lock_folder_of(path)
            undo.callback(lock.release)
            database = Database(path)
            undo.pop_all()
        ballast = Ballast(path.with_name(path.name + ".ballast"))
        ballast.make()
        return cls(database, reserve=ballast, lock=lock)

    def read(self, work: Callable[[Tables], T]) -> T:
        """What `work` finds."""
        return self._database.read(lambda connection: work(Tables.on(connection)))

    def write(
        self, work: Callable[[Tables], T], *, vital: bool = False, settled: Callable[[bool], None] | None = None
    ) -> T:
        """Run `work` in one transaction; what it wrote is on disk when this returns, all of it or, if it raises, none.

        A `vital` write on a full disk is tried a second time with the space that was held back. `settled` is as for
        `Database.write`, told of each try.
        """

        def on_tables(connection: sqlite3.Connection) -> T:
            return work(Tables.on(connection))

        try:
            return self._database.write(on_tables, settled=settled)
        except DiskFull:
            if not (vital and self._reserve and self._reserve.drop()):
                raise
        return self._database.write(on_tables, settled=settled)

    def close(self) -> None:
        """Finish what was handed in, close the file and let another server in. A second call does nothing."""
        self._database.close()
        if self._lock:
            self._lock.release()

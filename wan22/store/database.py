"""One SQLite connection that lives on one thread; everybody else hands that thread closures and waits.

One connection, because SQLite before 3.51.3 may damage a database that two connections write and checkpoint at once,
and most Pythons bring an older one. What the closures say to SQLite is left to the tables.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from wan22.errors import DiskFull, StoreError
from wan22.store.schema import migrate

logger = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_FULL = "database or disk is full"  # Python 3.10 gives no error codes, only SQLite's fixed text for SQLITE_FULL


@contextmanager
def _our_errors(doing: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if _FULL in str(error):
            raise DiskFull(f"There is no space left for the task database: {error}.") from error
        raise StoreError(f"The task database failed while {doing}: {error}.") from error


def _configure(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA busy_timeout = 10000")  # a person's sqlite3 shell may hold the file for a moment
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # WAL with NORMAL may lose the last commits when the power fails
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")


def _connect(path: Path | None) -> sqlite3.Connection:
    with _our_errors(f"opening {path or 'a database in memory'}"):
        connection = sqlite3.connect(path or ":memory:", isolation_level=None, cached_statements=256)
        with ExitStack() as undo:
            undo.callback(connection.close)
            _configure(connection)
            migrate(connection)
            undo.pop_all()
        return connection


def _transaction(connection: sqlite3.Connection, work: Work[T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
        return result
    finally:
        if connection.in_transaction:  # work or commit raised; on a full disk SQLite may have rolled back by itself
            connection.execute("ROLLBACK")


def _fulfil(outcome: Future[T], call: Callable[[], T]) -> None:
    try:
        outcome.set_result(call())
    except BaseException as error:  # noqa: BLE001 - the thread must survive; whoever waits for the outcome gets it
        outcome.set_exception(error)


class Database:
    """The connection, its thread, and the queue of what is to be done there. In memory where `path` is None.

    Every sqlite3.Error leaves as StoreError, a full disk as DiskFull; whatever else a closure raises leaves as it is.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._jobs: SimpleQueue[Callable[[sqlite3.Connection], None] | None] = SimpleQueue()
        self._closing = threading.Lock()  # nothing may be queued behind the None that ends the thread
        self._closed = False
        opened: Future[sqlite3.Connection] = Future()
        self._thread = threading.Thread(target=self._serve, args=(opened,), name="wan22-store", daemon=True)
        self._thread.start()
        opened.result()

    def read(self, work: Work[T]) -> T:
        """Run `work` on the store's thread and give its result; it must not write."""
        return self._run(work, "reading")

    def write(self, work: Work[T], *, settled: Callable[[bool], None] | None = None) -> T:
        """Run `work` in a transaction, committed and synced to disk on return, rolled back if it raises.

        `settled` is told on the store's thread whether it was committed, before anything else runs there. It must
        not raise, and must not come back to the database.
        """

        def transaction(connection: sqlite3.Connection) -> T:
            committed = False
            try:
                result = _transaction(connection, work)
                committed = True
            finally:
                if settled:
                    settled(committed)
            return result

        return self._run(transaction, "writing")

    def close(self) -> None:
        """Finish what was handed in, then close. A second call does nothing."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _run(self, work: Work[T], doing: str) -> T:
        if threading.current_thread() is self._thread:
            raise RuntimeError("The store was called from its own thread, which would wait for itself for ever.")
        outcome: Future[T] = Future()

        def guarded(connection: sqlite3.Connection) -> T:
            with _our_errors(doing):
                return work(connection)

        with self._closing:
            if self._closed:
                raise StoreError("The task database is closed.", hint="Start the server again.")
            self._jobs.put(lambda connection: _fulfil(outcome, lambda: guarded(connection)))
        return outcome.result()

    def _serve(self, opened: Future[sqlite3.Connection]) -> None:
        _fulfil(opened, lambda: _connect(self._path))
        if opened.exception():
            return
        connection = opened.result()
        logger.info("SQLite %s is open.", sqlite3.sqlite_version, extra={"action": "store.open"})
        while (job := self._jobs.get()) is not None:
            job(connection)
            del job  # or its values would live until the next one comes
        self._end(connection)

    def _end(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("PRAGMA optimize")
        except sqlite3.Error as error:
            logger.warning("The database could not be optimized: %s.", error, extra={"action": "store.close"})
        connection.close()

"""What the tests of this room share: a connection as the store makes it, and writing to a store in one line."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

from support.samples import NOON, WORK, task

from wan22.store import Store, Tables
from wan22.store.schema import migrate
from wan22.tasks import Event, EventType, Status, Task


@contextmanager
def bare_connection() -> Iterator[sqlite3.Connection]:
    """An empty database in memory with the whole schema, without thread or tables."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        yield connection


def add(store: Store, given: Task | None = None, **kept: Any) -> Task:
    """Store a task, a new one if none is given; `kept` goes to `TaskTable.add`."""
    given = given or task()
    store.write(lambda tables: tables.tasks.add(given, **{"pace": "p", "work": WORK, **kept}))
    return given


def claim(store: Store, *, boot_id: int = 1, at: datetime = NOON) -> Task | None:
    """Claim the first of those that wait."""

    def work(tables: Tables) -> Task | None:
        first = tables.tasks.waiting(limit=1)
        return tables.tasks.claim(first[0].task_id, boot_id=boot_id, at=at) if first else None

    return store.write(work)


def find(store: Store, task_id: str) -> Task | None:
    """The record of a task."""
    return store.read(lambda tables: tables.tasks.find(task_id))


def in_status(store: Store, status: Status) -> Task:
    """A stored task that has come to this status by legal moves."""
    given = add(store)
    now = given if status in (Status.QUEUED, Status.CANCELLED) else claim(store) or given
    if now.status is not status:
        store.write(lambda tables: tables.tasks.move(now, now.with_(status=status)))
    return now.with_(status=status)


def event(event_id: int, task_id: str | None = "t") -> Event:
    """A durable event."""
    return Event(id=event_id, type=EventType.TASK_QUEUED, task_id=task_id, at=NOON, data={"position": event_id})

"""The stream of events: numbers them, stores the durable ones with the change they tell of, fans them out.

A log with readers at their own places in it, not a buffer for each: the newest durable events are kept once, in
memory, older ones are read again from the store, and of progress and previews only the latest exists. So a reader can
neither slow a publisher nor fill the memory. What the events say is left to `messages`, sending them to `api`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Protocol, TypeVar

from wan22.queue.recent import Recent
from wan22.queue.sequence import Sequence
from wan22.queue.subscription import Subscription
from wan22.store import Store, Tables
from wan22.tasks import Event, EventType

logger = logging.getLogger(__name__)

T = TypeVar("T")

KEPT = 100_000  # durable events in the store; a reader further behind than that has a gap
PRUNE_EVERY = 1_000  # events between two cuttings
PAGE = 1_000  # events that a late reader is given at once


class Emit(Protocol):
    """Adds an event to the transaction that it is called in."""

    def __call__(self, type: EventType, task_id: str | None, data: dict[str, Any]) -> Event:
        """The event, numbered; readers get it once the transaction is committed."""


class Feed:
    """One for each store; opening it counts a start of the server. Every method may be called from any thread.

    `ring` is how many durable events are kept in memory. The lock is never held over a call to the store or to a
    reader, so it can't be part of a deadlock.
    """

    def __init__(self, store: Store, *, ring: int = 2_000) -> None:
        self._store = store
        self.boot_id = store.write(_begin_boot)
        self._lock = threading.Lock()
        self._sequence = Sequence(self.boot_id)
        self._recent = Recent(start=self._sequence.start, size=ring)
        self._readers: dict[Subscription, None] = {}
        self._until_prune = PRUNE_EVERY  # touched on the store's thread only

    # Publishing

    def publish(self, type: EventType, task_id: str | None, data: dict[str, Any]) -> Event:
        """Tell all readers; a durable event is on disk when this returns. Raises StoreError, DiskFull."""
        if type.is_durable:
            return self.transact(lambda _, emit: emit(type, task_id, data))
        event = self._numbered(type, task_id, data)
        self._settle([event], happened=True)
        return event

    def transact(self, work: Callable[[Tables, Emit], T], *, vital: bool = False) -> T:
        """Run `work` in one transaction of the store; the events that it emits are stored in the same one.

        Readers get them once they are committed, and never if `work` raises. `vital` is as for `Store.write`.
        """
        emitted: list[Event] = []

        def on_tables(tables: Tables) -> T:
            def emit(type: EventType, task_id: str | None, data: dict[str, Any]) -> Event:
                event = self._numbered(type, task_id, data)
                emitted.append(event)
                tables.events.add(event)
                return event

            result = work(tables, emit)
            self._prune(tables, len(emitted))
            return result

        def settled(committed: bool) -> None:
            self._settle(emitted, happened=committed)
            emitted.clear()  # a second try emits anew

        return self._store.write(on_tables, vital=vital, settled=settled)

    def forget(self, task_id: str, *, before: int | None) -> None:
        """Drop what is remembered of a task, from before an event id or all; its rows in the store are the caller's."""
        with self._lock:
            self._recent.forget(task_id, before=before)

    def _numbered(self, type: EventType, task_id: str | None, data: dict[str, Any]) -> Event:
        at = datetime.now(timezone.utc)
        with self._lock:
            event = Event(id=self._sequence.upcoming, type=type, task_id=task_id, at=at, data=data)
            self._sequence.reserve()  # last, for it must be settled: an event that can't be made must take no number
        return event

    def _settle(self, events: list[Event], *, happened: bool) -> None:
        with self._lock:
            called = []
            for event in events:
                for free in self._sequence.settle(event.id, event if happened else None):
                    self._recent.add(free)
                    called += self._to_call(free)
        self._call(called)

    def _to_call(self, event: Event) -> list[Subscription]:
        readers = [reader for reader in self._readers if reader.wants(event) and not reader.is_called]
        for reader in readers:
            reader.is_called = True
        return readers

    def _call(self, readers: list[Subscription]) -> None:
        for reader in readers:
            try:
                reader.on_ready()
            except Exception:  # one reader, whose event loop may have ended, must not take the news from the others
                logger.exception("A reader of events could not be called.", extra={"action": "feed.drop_reader"})
                self.forget_reader(reader)

    def _prune(self, tables: Tables, emitted: int) -> None:
        self._until_prune -= emitted
        if self._until_prune <= 0:
            self._until_prune = PRUNE_EVERY
            tables.events.prune(keep=KEPT)

    # Reading

    def subscribe(
        self, *, task_id: str | None = None, after: int | None = None, on_ready: Callable[[], None]
    ) -> Subscription:
        """A reader of all events, or of one task's; of those with an id over `after`, or of those to come.

        `on_ready` is called from any thread, the store's included, when there is something to take. It must return
        at once and only wake whoever takes. An `after` that no event has had yet counts as the newest.
        """
        with self._lock:
            newest = self._recent.horizon
            place = newest if after is None else min(max(after, 0), newest)
            reader = Subscription(self, task_id=task_id, place=place, on_ready=on_ready)
            self._readers[reader] = None
            reader.is_called = is_behind = place < newest
        if is_behind:
            self._call([reader])
        return reader

    def take_for(self, reader: Subscription) -> list[Event]:
        """What `Subscription.take` promises."""
        with self._lock:
            reader.is_called = False
            after, until = reader.place, self._recent.horizon
            if after >= self._recent.floor or not reader.is_open:
                return self._advance(reader, self._recent.durable_after(after), until)
        page = self._store.read(lambda tables: tables.events.between(after, until, task_id=reader.task_id, limit=PAGE))
        with self._lock:
            taken = self._advance(reader, page, page[-1].id if len(page) == PAGE else until)
            has_more = reader.is_open and not reader.is_called and reader.place < self._recent.horizon
            reader.is_called |= has_more
        if has_more:
            self._call([reader])
        return taken

    def forget_reader(self, reader: Subscription) -> None:
        """What `Subscription.close` promises."""
        with self._lock:
            reader.is_open = False
            self._readers.pop(reader, None)

    def _advance(self, reader: Subscription, durable: list[Event], until: int) -> list[Event]:
        """Those of the events that the reader wants, with its latest progress of the same range; moves its place."""
        latest = self._recent.latest_between(reader.place, until)
        reader.place = until
        if not reader.is_open:
            return []
        return sorted(filter(reader.wants, [*durable, *latest]), key=lambda event: event.id)


def _begin_boot(tables: Tables) -> int:
    tables.events.prune(keep=KEPT)
    return tables.meta.next_boot()

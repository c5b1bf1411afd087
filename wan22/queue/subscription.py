"""One reader's place in the stream of events. Keeps a place, not a buffer: a reader that never comes costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from wan22.tasks import Event


class Source(Protocol):
    """What a subscription reads from: the feed."""

    def take_for(self, subscription: Subscription) -> list[Event]:
        """What is new for this reader; moves its place on."""

    def forget_reader(self, subscription: Subscription) -> None:
        """Call it no more."""


class Subscription:
    """Made by `Feed.subscribe`. `place`, `is_called` and `is_open` belong to the feed and its lock."""

    def __init__(self, source: Source, *, task_id: str | None, place: int, on_ready: Callable[[], None]) -> None:
        self.task_id = task_id
        self.on_ready = on_ready
        self.place = place
        self.is_called = False  # on_ready was called and `take` has not answered yet
        self.is_open = True
        self._source = source

    def wants(self, event: Event) -> bool:
        """Whether this reader asked for such events."""
        return self.task_id in (None, event.task_id)

    def take(self) -> list[Event]:
        """What happened since the last call, ascending by id, or nothing; never waits for an event to come.

        Every durable event, and of progress and preview the latest for each task, of downloads for each model. A
        reader that is far behind is given a page at a time, for which the call reads the store, and `on_ready` is
        called again while there is more. One thread at a time may take.
        """
        return self._source.take_for(self)

    def close(self) -> None:
        """Take nothing more; `on_ready` may be under way still."""
        self._source.forget_reader(self)

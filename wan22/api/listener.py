"""Brings the feed's news, which come from any thread, into the event loop: one listener for each open stream."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from types import TracebackType

from wan22.api.services import Services
from wan22.queue.feed import PAGE
from wan22.queue.subscription import Subscription
from wan22.tasks import Event

PROMPT_S = 1.0
"""A reader that takes this soon after it was called finds everything in memory: the feed keeps the newest 2,000
durable events there, and can't write that many in the time. A later one may cause a read from the disk."""


class Listener:
    """An async iterator over events, and a context manager. A reader that takes late is given a page at a time, with
    only the latest progress, so nothing piles up behind it.
    """

    def __init__(self, services: Services, *, task_id: str | None = None, after: int | None = None) -> None:
        """Events of one task or of all, with an id over `after` or, if None, from now on."""
        self._threads = services.threads
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._ready_at = time.monotonic()
        self._is_behind = after is not None
        self._subscription: Subscription = services.feed.subscribe(task_id=task_id, after=after, on_ready=self._call)

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._subscription.close()

    def _call(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the reader with it
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if not self._ready.is_set():
            self._ready_at = time.monotonic()
            self._ready.set()

    async def take(self) -> list[Event]:
        """What there is now, at once."""
        self._ready.clear()
        is_late = self._is_behind or time.monotonic() - self._ready_at > PROMPT_S
        events = await self._threads.call(self._subscription.take) if is_late else self._subscription.take()
        self._is_behind = len(events) >= PAGE
        return events

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            await self._ready.wait()
            for event in await self.take():
                yield event

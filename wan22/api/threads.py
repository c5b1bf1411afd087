"""The one crossing from the event loop to the synchronous rooms. Nothing else in `api` may start or borrow a thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 16
"""Calls that may be below at once; the rooms answer in milliseconds, so more would only wait for the same lock."""

SLOW_THREADS = 4
"""Questions to the hub at once: each may wait for seconds, and needs nothing else."""

HEAVY_THREADS = 2
"""Bodies parsed and pictures decoded at once: each may need some 200 MB."""


class Threads:
    """Three sets of threads of our own: neither a flood of pictures nor a dead hub holds up a look at a task."""

    def __init__(self, size: int = THREADS, heavy: int = HEAVY_THREADS, slow: int = SLOW_THREADS) -> None:
        self._light = anyio.CapacityLimiter(size)
        self._heavy = anyio.CapacityLimiter(heavy)
        self._slow = anyio.CapacityLimiter(slow)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args, **kwargs)` in a thread; for what takes milliseconds."""
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._light)

    async def heavy(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for what takes long or much memory; few of these run at once."""
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._heavy)

    async def slow(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for what waits for another machine."""
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._slow)

    async def within(self, seconds: float, function: Callable[[], T]) -> T:
        """`function()` in a thread that is left behind after `seconds`; raises TimeoutError.

        Takes no place from the others: it is for asking whether they are stuck.
        """
        with anyio.fail_after(seconds):
            return await anyio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))

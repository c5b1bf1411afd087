"""Bounds on what callers who send nothing, or too much, may hold: connections, the time for a head, and its size."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_HEAD_BYTES = 16_384
"""Of a request's line and headers, before it is answered with 400."""


class BoundedProtocol(H11Protocol):
    """HTTP on one connection, which is closed if a request's head is not whole `head_timeout_s` after it could begin.

    Uvicorn ends a connection that idles between two requests, but waits for ever for the rest of a head. Beyond
    `limit_concurrency` connections it answers requests with 503; here those beyond twice as many are closed unheard,
    since whoever asks nothing gets no answer either.
    """

    head_timeout_s = 15.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        if self.limit_concurrency and len(self.connections) > 2 * self.limit_concurrency:
            transport.abort()
        else:
            self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def _watch_head(self) -> None:
        """Run the timer while the caller's turn is to send a head; it is not wound up again by a part of one."""
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.head_timeout_s, self._give_up)

    def _forget(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()

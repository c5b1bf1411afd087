"""When to go on: the clock, being stopped, the limit on bytes per second, and how long to leave a source alone.

The clock is a value, so that a test need not wait.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any


def _wait(event: threading.Event, seconds: float) -> bool:
    return event.wait(seconds)


@dataclass(frozen=True)
class Clock:
    """Seconds since some moment, and waiting for an event or the end of some seconds."""

    now: Callable[[], float] = time.monotonic
    wait: Callable[[threading.Event, float], bool] = _wait


class Stopped(Exception):
    """The run is over for this thread; never leaves the package."""


class Stop:
    """Ends a run from any thread: waits end at once, and so do reads, whose connections are shut."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def set(self) -> None:
        """End the run; a second call does nothing."""
        with self._lock:
            self._event.set()
            for connection in self._open:
                _shut(connection)

    def is_set(self) -> bool:
        """Whether the run is to end."""
        return self._event.is_set()

    def check(self) -> None:
        """Raises Stopped if the run is to end."""
        if self._event.is_set():
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Let time pass. Raises Stopped as soon as the run is to end."""
        self._clock.wait(self._event, seconds)
        self.check()

    @contextlib.contextmanager
    def shutting(self, stream: Any) -> Iterator[None]:
        """While the block reads from an httpx network stream, a stop shuts its connection, which ends the read."""
        connection = stream.get_extra_info("socket") if stream is not None else None
        with self._lock:
            self.check()
            if connection is not None:
                self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)


class Limiter:
    """So many bytes a second for all threads together; None is no limit."""

    def __init__(self, bytes_per_s: float | None, *, clock: Clock, stop: Stop) -> None:
        self._rate = bytes_per_s
        self._clock = clock
        self._stop = stop
        self._lock = threading.Lock()
        self._free_at = clock.now()  # when all that was taken so far is paid for

    def take(self, count: int) -> None:
        """Wait until `count` more bytes are within the limit. Raises Stopped."""
        if self._rate is None:
            return
        with self._lock:
            now = self._clock.now()
            self._free_at = max(now, self._free_at) + count / self._rate
            pause_s = self._free_at - now
        self._stop.wait(pause_s)


@dataclass(frozen=True)
class Backoff:
    """How long a source that failed is left alone, and when it is given up."""

    tries: int = 5  # for one file, without a new byte between them
    first_s: float = 0.5  # doubled with every failure
    longest_s: float = 60.0  # whatever a server asks for

    def pause_s(self, failures: int, retry_after_s: float | None) -> float:
        """Seconds after that many failures in a row; a server that names a time is believed, up to `longest_s`."""
        pause_s = self.first_s * 2.0 ** (min(failures, 30) - 1) if retry_after_s is None else retry_after_s
        return min(max(pause_s, 0.0), self.longest_s)


def retry_after_s(header: str | None) -> float | None:
    """Seconds in a Retry-After header, which has a number or a date; None where it says nothing that is understood."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it was closed in the meantime
        # under TLS too the plain one: that of an SSLSocket takes away what another thread is reading from
        socket.socket.shutdown(connection, socket.SHUT_RDWR)

"""What all threads know of the sources: which to leave alone for how long, and which were shown wrong.

What one file thinks of a source (no such file, too many tries) is its own matter (`transfer`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from wan22.models.download.pace import Backoff, Clock, Stop
from wan22.models.download.sources import Source


class Board:
    """The sources in the order of trust, best first."""

    def __init__(self, sources: Sequence[Source], *, backoff: Backoff, clock: Clock) -> None:
        self.sources = tuple(sources)
        self._backoff = backoff
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self._ready_at: dict[str, float] = {}
        self._wrong: set[str] = set()
        self._places = {source.name: place for place, source in enumerate(self.sources)}

    def place(self, source: str) -> int:
        """How far down in the order of trust; the last place for one that the settings no longer name, or was wrong."""
        return len(self.sources) if self.is_wrong(source) else self._places.get(source, len(self.sources))

    def is_wrong(self, source: str) -> bool:
        """Whether it served wrong bytes, so that nothing more is taken from it in this run."""
        with self._lock:
            return source in self._wrong

    def shown_wrong(self, source: str) -> None:
        """It served wrong bytes, beyond doubt."""
        with self._lock:
            self._wrong.add(source)

    def arrived(self, source: str) -> None:
        """It gave bytes, so that its failures are over."""
        with self._lock:
            self._failures.pop(source, None)

    def failed(self, source: str, retry_after_s: float | None) -> None:
        """It failed in passing: every file leaves it alone for a while."""
        with self._lock:
            failures = self._failures[source] = self._failures.get(source, 0) + 1
            pause_s = self._backoff.pause_s(failures, retry_after_s)
            self._ready_at[source] = max(self._ready_at.get(source, 0.0), self._clock.now() + pause_s)

    def pick(self, usable: Sequence[Source], stop: Stop) -> Source:
        """The first that need not be left alone; waits where all must. Raises Stopped."""
        while True:
            stop.check()
            with self._lock:
                now = self._clock.now()
                waits = [self._ready_at.get(source.name, now) - now for source in usable]
            ready = next((source for source, wait_s in zip(usable, waits, strict=True) if wait_s <= 0), None)
            if ready is not None:
                return ready
            stop.wait(min(waits))

"""Takes a reading each second in a thread of its own, from the start of the server to its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from wan22.errors import DiskFull, StoreError
from wan22.monitoring.history import History
from wan22.monitoring.reading import Reading
from wan22.monitoring.sensors import Sensors
from wan22.tasks import Status

logger = logging.getLogger(__name__)

EVERY_S = 1.0
COUNT_EVERY = 5
"""Readings for each counting of tasks, which looks through all of them."""


class Sampler:
    """The thread. `counts` tells how many tasks are in each status; `on_reading` is told of each reading."""

    def __init__(
        self,
        sensors: Sensors,
        history: History,
        counts: Callable[[], Mapping[Status, int]],
        *,
        on_reading: Callable[[Reading], None] = lambda _: None,
        every_s: float = EVERY_S,
    ) -> None:
        self._sensors = sensors
        self._history = history
        self._counts = counts
        self._on_reading = on_reading
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._taken_at: float | None = None

    @property
    def age_s(self) -> float | None:
        """Seconds since the last reading; None before the first one."""
        return None if self._taken_at is None else time.monotonic() - self._taken_at

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="wan22-sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and keep what there is of the minute. A second call does nothing."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
            self._thread = None
            self._history.flush()

    def _run(self) -> None:
        number = 0
        counts: tuple[int | None, int | None] = (None, None)
        while not self._stopping.wait(self._every_s if number else 0):
            try:
                if number % COUNT_EVERY == 0:
                    counts = self._counted()
                self._take(*counts)
            except Exception:  # whatever one reading meets, the next may not
                logger.exception("A reading failed.", extra={"action": "reading_failed"})
            number += 1

    def _take(self, queued: int | None, running: int | None) -> None:
        reading = self._sensors.read(queued=queued, running=running)
        self._history.add(reading)
        self._taken_at = time.monotonic()
        self._on_reading(reading)

    def _counted(self) -> tuple[int | None, int | None]:
        try:
            counts = self._counts()
        except (StoreError, DiskFull):
            return None, None
        return counts.get(Status.QUEUED, 0), counts.get(Status.RUNNING, 0)

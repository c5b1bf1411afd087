"""What was measured: each second of the last minutes in memory, and each minute of the last days in the store."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from wan22.errors import DiskFull, StoreError
from wan22.monitoring.reading import Reading, series_of
from wan22.store import Store

logger = logging.getLogger(__name__)

SECONDS = 900
"""Readings in memory: a quarter of an hour."""

DAYS = 7
"""Of minutes in the store: ten thousand rows of about a kilobyte."""

MAX_POINTS = 2_000
MINUTE_S = 60


@dataclass(frozen=True)
class Series:
    """Figures by name, each at `times`, the ends of steps of `step_s` seconds; None where nothing was measured."""

    step_s: float
    times: tuple[datetime, ...]
    values: Mapping[str, tuple[float | None, ...]]


class History:
    """From any thread. `add` is for one thread, in the order of time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._recent: deque[Reading] = deque(maxlen=SECONDS)
        self._minute: list[Reading] = []

    @property
    def latest(self) -> Reading | None:
        """The last reading; None before the first."""
        with self._lock:
            return self._recent[-1] if self._recent else None

    def recent(self) -> tuple[Reading, ...]:
        """Those in memory, the oldest first."""
        with self._lock:
            return tuple(self._recent)

    def add(self, reading: Reading) -> None:
        """Keep it; the first one of a minute sends the minute before to the store."""
        with self._lock:
            self._recent.append(reading)
        if self._minute and _minute_of(self._minute[0].at) != _minute_of(reading.at):
            self.flush()
        self._minute.append(reading)

    def flush(self) -> None:
        """Send what there is of this minute to the store; on a full disk it is lost, and the log says so."""
        readings, self._minute = self._minute, []
        if not readings:
            return
        minute, figures = _minute_of(readings[0].at), _condensed(readings)
        oldest = minute - DAYS * 24 * 60
        try:
            self._store.write(lambda tables: tables.metrics.keep(minute, figures, oldest=oldest))
        except (StoreError, DiskFull) as error:
            logger.warning("A minute of figures is lost: %s", error, extra={"action": "metrics_lost"})

    def series(self, window_s: float, step_s: float) -> Series:
        """The last `window_s` seconds in steps of `step_s`, a mean of each; of what is longer ago, of minutes.

        Steps are at least as long as what is kept, and so long that there are at most MAX_POINTS.
        """
        now = datetime.now(timezone.utc)
        begin = now - timedelta(seconds=window_s)
        from_store = window_s > SECONDS
        step_s = max(step_s, window_s / MAX_POINTS, MINUTE_S if from_store else 0)
        points = self._minutes(begin) if from_store else _points(self.recent())
        return _stepped(points, begin, step_s, min(MAX_POINTS, math.ceil(window_s / step_s)))

    def _minutes(self, begin: datetime) -> list[tuple[datetime, Mapping[str, float]]]:
        rows = self._store.read(lambda tables: tables.metrics.since(_minute_of(begin)))
        return [(_middle_of(minute), {name: mean for name, (mean, _) in figures.items()}) for minute, figures in rows]


def _minute_of(at: datetime) -> int:
    return int(at.timestamp() // MINUTE_S)


def _middle_of(minute: int) -> datetime:
    return datetime.fromtimestamp((minute + 0.5) * MINUTE_S, timezone.utc)


def _points(readings: Iterable[Reading]) -> list[tuple[datetime, Mapping[str, float]]]:
    return [
        (reading.at, {name: figure for name, figure in series_of(reading) if figure is not None})
        for reading in readings
    ]


def _condensed(readings: Iterable[Reading]) -> dict[str, tuple[float, float]]:
    """The mean and the largest of each series that was measured at all."""
    found: dict[str, list[float]] = {}
    for _, figures in _points(readings):
        for name, figure in figures.items():
            found.setdefault(name, []).append(figure)
    return {name: (sum(figures) / len(figures), max(figures)) for name, figures in found.items()}


def _stepped(
    points: Iterable[tuple[datetime, Mapping[str, float]]], begin: datetime, step_s: float, count: int
) -> Series:
    sums: dict[str, list[tuple[float, int]]] = {}
    for at, figures in points:
        step = int((at - begin).total_seconds() // step_s)
        if 0 <= step < count:
            for name, figure in figures.items():
                steps = sums.setdefault(name, [(0.0, 0)] * count)
                steps[step] = (steps[step][0] + figure, steps[step][1] + 1)
    times = tuple(begin + timedelta(seconds=step_s * (step + 1)) for step in range(count))
    means = {name: tuple(total / n if n else None for total, n in steps) for name, steps in sums.items()}
    return Series(step_s, times, means)

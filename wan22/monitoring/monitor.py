"""The parts of the room as one thing that is started and stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pynvml

from wan22.monitoring.history import History
from wan22.monitoring.prometheus import Exporter
from wan22.monitoring.reading import Reading
from wan22.monitoring.sampler import EVERY_S, Sampler
from wan22.monitoring.sensors import Sensors
from wan22.queue.queue import Queue
from wan22.store import Store


@dataclass(frozen=True)
class Monitor:
    """What watches one server."""

    history: History
    sampler: Sampler
    exporter: Exporter
    store: Store

    def completed_within(self, seconds: float) -> int:
        """Tasks that have completed in the last so many seconds. Raises StoreError."""
        begin = datetime.now(timezone.utc) - timedelta(seconds=seconds)
        return self.store.read(lambda tables: tables.metrics.completed_since(begin))

    @classmethod
    def of(
        cls,
        store: Store,
        queue: Queue,
        folder: Path,
        *,
        on_reading: Callable[[Reading], None] = lambda _: None,
        nvml: Any = pynvml,
        every_s: float = EVERY_S,
    ) -> Monitor:
        """Over the machine, this store and this queue; `folder` is on the disk whose free space counts.

        `on_reading` is told of each reading, in the sampler's thread.
        """
        history = History(store)
        sampler = Sampler(Sensors(folder, nvml=nvml), history, queue.counts, on_reading=on_reading, every_s=every_s)
        exporter = Exporter(lambda: history.latest, lambda: store.read(lambda tables: tables.metrics.sums()))
        return cls(history, sampler, exporter, store)

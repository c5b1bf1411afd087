"""Which models are loaded, and the leases on them. Loads and drops; does not run them.

A model that is leased is never dropped. Before a new one is loaded, the ones that were used longest ago are dropped
until the new one fits the budget: two A14B models do not fit 128 GB of RAM together.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from wan22.tasks import EventType
from wan22.tasks.sharing import model_name

logger = logging.getLogger(__name__)


class Closable(Protocol):
    """What residency needs of a loaded model."""

    size_bytes: int

    def close(self) -> None:
        """Give back all memory."""


M = TypeVar("M", bound=Closable)


@dataclass(frozen=True)
class ModelKey:
    """What makes two loaded models the same: weights, place and precision, and the files as they were when read."""

    model_type: str
    variant: str
    device: str
    precision: tuple[tuple[str, str], ...]
    offload: str
    stamp: str = ""  # of the files; another one after a repair

    @property
    def name(self) -> str:
        """As tasks that need it have it, by `tasks.sharing.model_for`."""
        return model_name(
            self.model_type, self.variant, device=self.device, precision=dict(self.precision), offload=self.offload
        )


@dataclass
class Resident(Generic[M]):
    """One loaded model and how it is used."""

    key: ModelKey
    model: M
    leases: int = 0
    used_at: float = field(default_factory=time.monotonic)


class Residency(Generic[M]):
    """The loaded models within a budget of bytes.

    `leases` and the table are guarded by one lock; loading and closing happen outside it, so that a status call never
    waits for a load. There is one caller of `lease` and `hold` at a time: the device's thread.
    """

    def __init__(self, budget_bytes: int, on_change: Callable[[EventType, ModelKey], None]) -> None:
        self._budget_bytes = budget_bytes
        self._on_change = on_change
        self._lock = threading.Lock()
        self._residents: dict[ModelKey, Resident[M]] = {}

    @contextmanager
    def lease(self, key: ModelKey, size_bytes: int, load: Callable[[], M]) -> Iterator[M]:
        """Lend the model of `key`, loaded if need be; it stays loaded until its room is needed.

        `size_bytes` is what it is expected to hold, so that room can be made before it is loaded.
        """
        resident = self.hold(key, size_bytes, load)
        with self._lock:
            resident.leases += 1
        try:
            yield resident.model
        finally:
            with self._lock:
                resident.leases -= 1
                resident.used_at = time.monotonic()

    def hold(self, key: ModelKey, size_bytes: int, load: Callable[[], M]) -> Resident[M]:
        """As `lease`, for nobody yet: the model is loaded, and counts as used now."""
        resident = self._find(key) or self._load(key, size_bytes, load)
        with self._lock:
            resident.used_at = time.monotonic()
        return resident

    def residents(self) -> tuple[Resident[M], ...]:
        """The loaded models now, for status pages."""
        with self._lock:
            return tuple(self._residents.values())

    def drop(self, key: ModelKey) -> None:
        """Unload one model if it is loaded and not leased."""
        with self._lock:
            resident = self._residents.get(key)
            if resident is None or resident.leases:
                return
            del self._residents[key]
        resident.model.close()
        self._on_change(EventType.MODEL_UNLOADED, key)
        logger.info("Dropped %s.", key.model_type, extra={"action": "model_unloaded", "variant": key.variant})

    def unload(self, model_type: str) -> tuple[ModelKey, ...]:
        """Drop a model in all its variants and say which those were. In the device's thread, as `lease`."""
        keys = [resident.key for resident in self.residents() if resident.key.model_type == model_type]
        for key in keys:
            self.drop(key)
        left = {resident.key for resident in self.residents()}
        return tuple(key for key in keys if key not in left)

    def close(self) -> None:
        """Drop everything that is not leased."""
        for resident in self.residents():
            self.drop(resident.key)

    def leave_room(self, key: ModelKey, needed_bytes: int, free_bytes: Callable[[], int]) -> None:
        """Drop models that stay on the device of `key`, but for its own, until a run that needs so much there fits.

        The longest unused goes first. `free_bytes` tells what is free there now; the model of `key` needs no room for
        what it holds already. In the device's thread, as `lease`.
        """
        own = self._find(key)
        needed_bytes -= own.model.size_bytes if own and _stays(own.key) else 0
        for resident in sorted(self.residents(), key=lambda resident: resident.used_at):
            if free_bytes() >= needed_bytes:
                return
            if resident.key.device == key.device and resident.key != key and _stays(resident.key):
                self.drop(resident.key)

    def _find(self, key: ModelKey) -> Resident[M] | None:
        with self._lock:
            return self._residents.get(key)

    def _load(self, key: ModelKey, size_bytes: int, load: Callable[[], M]) -> Resident[M]:
        self._drop_stale(key)
        self._make_room(size_bytes)
        resident = Resident(key, load())
        with self._lock:
            self._residents[key] = resident
        self._on_change(EventType.MODEL_LOADED, key)
        logger.info("Loaded %s.", key.model_type, extra={"action": "model_loaded", "variant": key.variant})
        return resident

    def _drop_stale(self, key: ModelKey) -> None:
        """Drop what was loaded from the same files before they were changed."""
        for resident in self.residents():
            if replace(resident.key, stamp=key.stamp) == key:
                self.drop(resident.key)

    def _make_room(self, size_bytes: int) -> None:
        by_age = sorted(self.residents(), key=lambda resident: resident.used_at)
        held = sum(resident.model.size_bytes for resident in by_age)
        for resident in by_age:
            if held + size_bytes <= self._budget_bytes:
                return
            self.drop(resident.key)
            held -= resident.model.size_bytes


def _stays(key: ModelKey) -> bool:
    """Whether the model is on its device also while it does not run."""
    return key.offload == "none"

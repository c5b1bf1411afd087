"""Sets the thread that computes to what suits the machine, and knows which optimizations are turned off."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection

from wan22.errors import ConfigurationError
from wan22.hardware.choose import choose_device, gpu_of
from wan22.hardware.machine import Gpu, Machine
from wan22.hardware.process import can_move, limit_vram, run_on, use_threads
from wan22.orchestrator.optimizations.registry import BY_ID
from wan22.settings import DeviceSettings

NUMA, VRAM = "numa-placement", "vram-budget"


class Tuning:
    """What holds for all runs of a process. Any thread may turn something; the device's thread calls `prepare`."""

    def __init__(self, settings: DeviceSettings, probe: Callable[[], Machine]) -> None:
        """Raises ConfigurationError if the settings turn off what there is not, or what can't be."""
        self._settings = settings
        self._probe = probe
        self._lock = threading.Lock()
        self._off = frozenset(_known(settings.optimizations_off))
        self._everywhere: frozenset[int] | None = None  # cores that the thread had before it was moved

    @property
    def off(self) -> frozenset[str]:
        """The ids that are turned off."""
        return self._off

    def turn(self, optimization_id: str, *, on: bool) -> None:
        """Turn one on or off until the process ends; the next run has it so."""
        with self._lock:
            self._off = self._off - {optimization_id} if on else self._off | {optimization_id}

    def prepare(self) -> None:
        """Have the calling thread, which will load and run a model, as the settings and the machine want it."""
        use_threads(self._settings.threads)
        machine = self._probe()
        device = choose_device(machine, self._settings.device)
        gpu = gpu_of(machine, device)
        if gpu:
            limit_vram(device, 1.0 if VRAM in self._off else _share(gpu, self._settings.vram_reserve_bytes))
            self._move(gpu, machine.numa_nodes)

    def _move(self, gpu: Gpu, nodes: int) -> None:
        """To the cores near the GPU, or back."""
        if nodes < 2 or not can_move() or not gpu.near_cores:
            return
        self._everywhere = self._everywhere or frozenset(os.sched_getaffinity(0))
        near = self._everywhere & gpu.near_cores
        run_on(self._everywhere if NUMA in self._off or not near else near)


def _share(gpu: Gpu, reserve_bytes: int) -> float:
    """Of the VRAM, that torch may have; a reserve of more than all of it is none."""
    return max(0.0, 1 - reserve_bytes / gpu.vram_total_bytes) or 1.0


def _known(ids: Collection[str]) -> Collection[str]:
    can = sorted(one.id for one in BY_ID.values() if one.can_turn_off)
    for one in ids:
        if one not in can:
            raise ConfigurationError(
                f"device.optimizations_off has {one!r}, and only {', '.join(can)} can be turned off. Leave it out."
            )
    return ids

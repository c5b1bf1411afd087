"""Reads the machine once: psutil, the NVIDIA driver, torch's allocator. Never fails; what can't be read is None.

torch is asked only where something else has loaded it: a reading must not cost seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pynvml

from wan22.hardware.disk import free_bytes
from wan22.monitoring.reading import GpuReading, Reading

T = TypeVar("T")

_HELD_DOWN_BY = {
    "power": (
        pynvml.nvmlClocksEventReasonSwPowerCap,
        pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
    ),
    "heat": (
        pynvml.nvmlClocksEventReasonSwThermalSlowdown,
        pynvml.nvmlClocksEventReasonHwThermalSlowdown,
    ),
    "hardware": (pynvml.nvmlClocksEventReasonHwSlowdown,),
}
"""Bits of the driver that mean less speed than the card could have; that it idles is none."""

_LOOK_EVERY = 5
"""Readings for each search for our encoders, which looks at all of the system's processes."""

_TOLD_KIB = 1_024  # the driver counts PCIe traffic in KiB/s


class Sensors:
    """Of one machine, for one thread: rates are since the last reading, so the first one has none."""

    def __init__(self, folder: Path, *, nvml: Any = pynvml, process: psutil.Process | None = None) -> None:
        """`folder` is on the disk whose free space counts; `nvml` has the calls of nvidia-ml-py, or a fake's."""
        self._folder = folder
        self._nvml = nvml
        self._process = process or psutil.Process()
        self._children: dict[int, psutil.Process] = {}
        self._has_driver: bool | None = None
        self._number = 0

    def read(self, *, queued: int | None = None, running: int | None = None) -> Reading:
        """One reading, with the figures of the queue in it."""
        memory = _told(psutil.virtual_memory)
        all_cores, ours = _told(lambda: psutil.cpu_percent(None)), _told(self._our_cpu)
        is_first = self._number == 0
        self._number += 1
        return Reading(
            at=datetime.now(timezone.utc),
            cpu_utilization=None if is_first or all_cores is None else all_cores / 100,
            cpu_ours=None if is_first or ours is None else min(1.0, ours / 100 / (psutil.cpu_count() or 1)),
            ram_total_bytes=memory.total if memory else None,
            ram_used_bytes=memory.total - memory.available if memory else None,
            ram_ours_bytes=_told(lambda: self._process.memory_info().rss),
            swap_used_bytes=_told(lambda: psutil.swap_memory().used),
            disk_free_bytes=_told(lambda: free_bytes(self._folder)),
            gpus=tuple(self._gpus()),
            queued=queued,
            running=running,
        )

    def _our_cpu(self) -> float:
        """Per cent of one core, by this process and by those that it has started."""
        if self._number % _LOOK_EVERY == 0:
            found = {child.pid: child for child in self._process.children()}
            self._children = {pid: self._children.get(pid, child) for pid, child in found.items()}
        used = self._process.cpu_percent(None)
        return float(used + sum(_told(partial(child.cpu_percent, None)) or 0.0 for child in self._children.values()))

    def _gpus(self) -> Iterator[GpuReading]:
        if self._has_driver is None:
            self._has_driver = self._asked(self._open) or False
        if not self._has_driver:
            return
        for index in range(self._asked(self._nvml.nvmlDeviceGetCount) or 0):
            handle = self._asked(partial(self._nvml.nvmlDeviceGetHandleByIndex, index))
            if handle is not None:
                yield self._gpu(index, handle)

    def _open(self) -> bool:
        self._nvml.nvmlInit()
        return True

    def _gpu(self, index: int, handle: Any) -> GpuReading:
        nvml = self._nvml
        load = self._asked(lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
        memory = self._asked(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
        return GpuReading(
            index=index,
            name=self._asked(lambda: nvml.nvmlDeviceGetName(handle)) or f"NVIDIA GPU {index}",
            utilization=load and load.gpu / 100,
            memory_utilization=load and load.memory / 100,
            vram_total_bytes=memory and memory.total,
            vram_used_bytes=memory and memory.used,
            vram_ours_bytes=_told(lambda: _held_by_torch(index)),
            temperature_c=self._asked(lambda: nvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
            power_w=self._scaled(1e-3, lambda: nvml.nvmlDeviceGetPowerUsage(handle)),
            power_limit_w=self._scaled(1e-3, lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle)),
            clock_hz=self._scaled(1e6, lambda: nvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
            max_clock_hz=self._scaled(1e6, lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM)),
            throttled_by=self._asked(lambda: _held_down(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))),
            pcie_tx_bytes_per_s=self._scaled(_TOLD_KIB, lambda: self._traffic(handle, pynvml.NVML_PCIE_UTIL_TX_BYTES)),
            pcie_rx_bytes_per_s=self._scaled(_TOLD_KIB, lambda: self._traffic(handle, pynvml.NVML_PCIE_UTIL_RX_BYTES)),
        )

    def _traffic(self, handle: Any, counter: int) -> int:
        return int(self._nvml.nvmlDeviceGetPcieThroughput(handle, counter))

    def _scaled(self, factor: float, ask: Callable[[], float]) -> float | None:
        figure = self._asked(ask)
        return None if figure is None else figure * factor

    def _asked(self, ask: Callable[[], T]) -> T | None:
        """The driver's answer; under Windows, and on laptops, many figures are not supported."""
        try:
            return ask()
        except (self._nvml.NVMLError, OSError, ValueError):
            return None


def _told(ask: Callable[[], T]) -> T | None:
    """What the system answers, if it does."""
    try:
        return ask()
    except (psutil.Error, OSError, RuntimeError, ValueError):
        return None


def _held_down(bits: int) -> tuple[str, ...]:
    return tuple(name for name, reasons in _HELD_DOWN_BY.items() if any(bits & reason for reason in reasons))


def _held_by_torch(index: int) -> int | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.memory_reserved(index))

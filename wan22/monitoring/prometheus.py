"""The same figures for Prometheus: our own under `wan_`, those of GPUs under the names of NVIDIA's exporter.

Base units; no prompt and no id in a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric

from wan22.monitoring.reading import GpuReading, Reading
from wan22.store.metrics import TaskSums
from wan22.tasks import Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MIB = 2**20


class Exporter:
    """Makes the text anew for each scrape."""

    def __init__(self, latest: Callable[[], Reading | None], tasks: Callable[[], Sequence[TaskSums]]) -> None:
        self._latest = latest
        self._tasks = tasks
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """All families, in Prometheus's text format. Raises StoreError."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What the registry asks for."""
        reading = self._latest()
        if reading:
            yield from _machine(reading)
            yield from _gpus(reading.gpus)
        yield from _tasks(self._tasks(), reading)


def _machine(reading: Reading) -> Iterator[Metric]:
    for name, told, figure in (
        ("wan_cpu_utilization_ratio", "Share of all cores in use, by all programs.", reading.cpu_utilization),
        ("wan_process_cpu_utilization_ratio", "Share of all cores in use by this server.", reading.cpu_ours),
        ("wan_ram_used_bytes", "RAM in use by all programs.", reading.ram_used_bytes),
        ("wan_ram_total_bytes", "RAM of the machine.", reading.ram_total_bytes),
        ("wan_process_resident_bytes", "RAM held by this server.", reading.ram_ours_bytes),
        ("wan_swap_used_bytes", "Swap in use.", reading.swap_used_bytes),
        ("wan_disk_free_bytes", "Free on the disk of the outputs.", reading.disk_free_bytes),
    ):
        if figure is not None:
            yield GaugeMetricFamily(name, told, value=figure)


_OF_GPUS: tuple[tuple[str, str, Callable[[GpuReading], float | None]], ...] = (
    ("DCGM_FI_DEV_GPU_UTIL", "Per cent of time in which it computed.", lambda gpu: _times(100, gpu.utilization)),
    ("DCGM_FI_DEV_MEM_COPY_UTIL", "The same of its memory.", lambda gpu: _times(100, gpu.memory_utilization)),
    ("DCGM_FI_DEV_FB_USED", "VRAM in use, in MiB.", lambda gpu: _times(1 / MIB, gpu.vram_used_bytes)),
    ("DCGM_FI_DEV_FB_FREE", "VRAM that is free, in MiB.", lambda gpu: _times(1 / MIB, _free(gpu))),
    ("DCGM_FI_DEV_GPU_TEMP", "Temperature in degrees Celsius.", lambda gpu: gpu.temperature_c),
    ("DCGM_FI_DEV_POWER_USAGE", "Power in watts.", lambda gpu: gpu.power_w),
    ("DCGM_FI_DEV_SM_CLOCK", "Clock in MHz.", lambda gpu: _times(1e-6, gpu.clock_hz)),
    ("wan_gpu_memory_held_bytes", "VRAM held by this server's torch.", lambda gpu: gpu.vram_ours_bytes),
)


def _gpus(gpus: Sequence[GpuReading]) -> Iterator[Metric]:
    for name, told, figure_of in _OF_GPUS:
        family = GaugeMetricFamily(name, told, labels=("gpu", "modelName"))
        for gpu in gpus:
            figure = figure_of(gpu)
            if figure is not None:
                family.add_metric((str(gpu.index), gpu.name), figure)
        if family.samples:
            yield family


def _tasks(sums: Sequence[TaskSums], reading: Reading | None) -> Iterator[Metric]:
    counted = CounterMetricFamily("wan_tasks", "Tasks by how they stand.", labels=("model", "status"))
    seconds = SummaryMetricFamily("wan_task_phase_seconds", "Seconds in a phase.", labels=("model", "phase"))
    for group in sums:
        counted.add_metric((group.model_type, group.status.value), group.count)
        for phase, (count, total) in group.phases.items() if group.status is Status.COMPLETED else ():
            seconds.add_metric((group.model_type, phase.value), count_value=count, sum_value=total)
    yield counted
    yield seconds
    for name, told, figure in (
        ("wan_queue_depth", "Tasks that wait.", reading.queued if reading else None),
        ("wan_tasks_running", "Tasks that run.", reading.running if reading else None),
    ):
        if figure is not None:
            yield GaugeMetricFamily(name, told, value=figure)


def _free(gpu: GpuReading) -> float | None:
    known = gpu.vram_total_bytes is not None and gpu.vram_used_bytes is not None
    return (gpu.vram_total_bytes or 0) - (gpu.vram_used_bytes or 0) if known else None


def _times(factor: float, figure: float | None) -> float | None:
    return None if figure is None else factor * figure

"""One reading of the machine, as a value. What could not be read is None, and never 0."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class GpuReading(_Value):
    """One NVIDIA GPU."""

    index: int = Field(description="As in cuda:0.")
    name: str = Field(description="As its driver calls it.")
    utilization: float | None = Field(default=None, description="Share of the last moment in which it computed.")
    memory_utilization: float | None = Field(default=None, description="Share in which its memory was read or written.")
    vram_total_bytes: int | None = Field(default=None, description="Of the card.")
    vram_used_bytes: int | None = Field(default=None, description="By all programs.")
    vram_ours_bytes: int | None = Field(
        default=None, description="Held by this server's torch; null: it has not begun."
    )
    temperature_c: float | None = Field(default=None, description="Of the chip.")
    power_w: float | None = Field(default=None, description="Drawn now.")
    power_limit_w: float | None = Field(default=None, description="At most.")
    clock_hz: float | None = Field(default=None, description="Of the units that compute.")
    max_clock_hz: float | None = Field(default=None, description="The highest that it can have.")
    throttled_by: tuple[str, ...] | None = Field(
        default=None, description="What holds its clock down: power, heat, brake. Empty: nothing."
    )
    pcie_tx_bytes_per_s: float | None = Field(default=None, description="From the card.")
    pcie_rx_bytes_per_s: float | None = Field(default=None, description="To the card.")


class Reading(_Value):
    """The machine at one moment."""

    at: datetime = Field(description="When.")
    cpu_utilization: float | None = Field(default=None, description="Of all cores, by all programs, 0 to 1.")
    cpu_ours: float | None = Field(default=None, description="Of all cores, by this server and its encoders, 0 to 1.")
    ram_total_bytes: int | None = Field(default=None, description="Of the machine.")
    ram_used_bytes: int | None = Field(default=None, description="By all programs; what caches hold is not counted.")
    ram_ours_bytes: int | None = Field(default=None, description="By this server.")
    swap_used_bytes: int | None = Field(default=None, description="Of the swap.")
    disk_free_bytes: int | None = Field(default=None, description="On the disk of the outputs.")
    gpus: tuple[GpuReading, ...] = Field(default=(), description="The NVIDIA GPUs.")
    queued: int | None = Field(default=None, description="Tasks that wait.")
    running: int | None = Field(default=None, description="Tasks that run.")


_NO_SERIES = ("index", "name", "at", "gpus", "throttled_by")


def series_of(reading: Reading) -> Iterator[tuple[str, float | None]]:
    """Its figures by the names of their series, those of a GPU as gpu0.utilization."""
    yield from _figures("", reading)
    for gpu in reading.gpus:
        yield from _figures(f"gpu{gpu.index}.", gpu)
        throttled = None if gpu.throttled_by is None else float(bool(gpu.throttled_by))
        yield f"gpu{gpu.index}.throttled", throttled


def _figures(prefix: str, value: BaseModel) -> Iterator[tuple[str, float | None]]:
    for name in type(value).model_fields:
        if name not in _NO_SERIES:
            figure = getattr(value, name)
            yield prefix + name, None if figure is None else float(figure)

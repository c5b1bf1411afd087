"""What callers are shown of the machine: the last reading, and series over time."""

from __future__ import annotations

from pydantic import Field

from wan22.api.views import UtcTime, View
from wan22.monitoring.reading import Reading


class ReadingView(Reading):
    """The machine at one moment."""

    at: UtcTime = Field(description="When.")


class PerformanceStatus(View):
    """What the machine does now."""

    reading: ReadingView | None = Field(description="The last one; null in the first second of a server.")
    age_s: float | None = Field(description="Seconds since then; over some, the sampler has stopped.")
    videos_last_hour: int = Field(description="Tasks that completed in the last hour.")
    models_loaded: tuple[str, ...] = Field(description="In memory, as T2V-A14B.")


class Metrics(View):
    """Series over time."""

    window_s: float = Field(description="As asked.")
    step_s: float = Field(description="As asked, or longer where no finer is kept.")
    times: tuple[UtcTime, ...] = Field(description="The end of each step.")
    series: dict[str, tuple[float | None, ...]] = Field(
        description="By name, as in the status: cpu_utilization, gpu0.vram_used_bytes. A mean for each step, or null."
    )

"""How one run of a task went, in the few figures that a history is made of; the whole record is `task`'s."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from wan22.tasks.status import Status
from wan22.tasks.task import Failure


class Run(BaseModel):
    """A task that has completed or failed. Figures that were not measured are None."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    status: Status
    variant: str  # which weights
    device: str
    mode: str
    width: int  # of the file
    height: int
    num_frames: int
    num_videos: int
    guidance_scale: float
    total_steps: int | None  # of all outputs together
    tasks: int = 1  # that were denoised together, this one included
    denoise_s: float | None  # all steps of all outputs, and of the other tasks
    total_s: float | None
    peak_vram_bytes: int | None
    finished_at: datetime | None
    error: Failure | None = None
    precision: str | None = None  # of the transformers' weights
    offload: str | None = None  # where weights were planned to be
    step_cache: bool = False  # steps that would only repeat were spared

    @property
    def is_completed(self) -> bool:
        """It made its outputs."""
        return self.status is Status.COMPLETED

    @property
    def seconds_per_step(self) -> float | None:
        """Of one denoising step of one output, as its share of those that ran together."""
        steps = self.tasks * self.total_steps if self.total_steps else 0
        return self.denoise_s / steps if self.denoise_s is not None and steps else None

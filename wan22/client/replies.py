"""The values that come back from a server. Fields that this version does not know are ignored, so that a newer server
can be talked to.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from wan22.tasks import Failure, Forecast, Passes, Phase, Status, Timings


class Reply(BaseModel):
    """Base of the values: frozen."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Output(Reply):
    """One finished file of a task; sizes in pixels, bytes and seconds."""

    index: int
    url: str
    thumbnail_url: str | None = None
    format: str
    width: int
    height: int
    num_frames: int
    fps: int
    duration_s: float
    size_bytes: int
    sha256: str
    seed: int


class RemoteTask(Reply):
    """A task as the server tells it. `request` and `plan` are left as the mappings they came as."""

    task_id: str
    status: Status
    phase: Phase | None = None
    progress: float = 0.0
    step: int | None = None
    total_steps: int | None = None
    queue_position: int | None = None
    eta_s: float | None = None
    model_type: str
    request: dict[str, Any] = {}
    plan: dict[str, Any] = {}
    outputs: tuple[Output, ...] = ()
    timings: Timings = Timings()
    attempts: int = 0
    passes: Passes | None = None
    peak_vram_bytes: int | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: Failure | None = None


class EstimateReply(Reply):
    """What a task would take."""

    forecast: Forecast


class Resident(Reply):
    """A model in the server's memory; `precision` is the dtype of each part."""

    model_type: str
    variant: str
    device: str
    precision: dict[str, str] = {}
    offload: str
    size_bytes: int


class LoadReply(Reply):
    """A model that is loaded now; `was_loaded` if it was before."""

    was_loaded: bool
    loaded: Resident


class UnloadReply(Reply):
    """What was dropped; nothing if the model was not loaded."""

    unloaded: tuple[Resident, ...]


class TaskPage(Reply):
    """Some tasks, newest first; `next_cursor` asks for the page after this one, None on the last."""

    tasks: tuple[RemoteTask, ...]
    next_cursor: str | None = None

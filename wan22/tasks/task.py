"""The record of one task, from acceptance to its end. A move makes a copy; nothing is changed in place."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from wan22.errors import Wan22Error
from wan22.tasks.artifact import Artifact
from wan22.tasks.plan import Plan
from wan22.tasks.request import Request
from wan22.tasks.status import Phase, Status


class Failure(BaseModel):
    """Why a task or another piece of work failed, in the words that the caller is given."""

    model_config = ConfigDict(frozen=True)

    code: str
    title: str
    detail: str
    hint: str = ""

    @classmethod
    def of(cls, error: Wan22Error) -> Failure:
        """What is kept of an error, which itself holds on to the frames that it came through."""
        return cls(code=error.code, title=error.title, detail=error.detail, hint=error.hint)


class Timings(BaseModel):
    """Seconds spent in each part of a task's life; None where it has not been there."""

    model_config = ConfigDict(frozen=True)

    queued_s: float | None = Field(default=None, description="Waiting for its first run.")
    loading_s: float | None = Field(default=None, description="Loading weights, unless they were loaded already.")
    text_encode_s: float | None = Field(default=None, description="Encoding the texts.")
    image_encode_s: float | None = Field(default=None, description="Encoding the input pictures.")
    denoise_s: float | None = Field(default=None, description="Denoising, all steps of all outputs.")
    denoised_together: int = Field(
        default=1, description="Tasks that `denoise_s` is of, since one run denoised them all."
    )
    decode_s: float | None = Field(default=None, description="Decoding latents into frames.")
    encode_s: float | None = Field(default=None, description="Writing the files.")
    total_s: float | None = Field(default=None, description="From the start of the last attempt to its end.")


class Passes(BaseModel):
    """How often the transformers were run, of all outputs, where a step cache was at work."""

    model_config = ConfigDict(frozen=True)

    total: int = Field(description="Passes, one or two a step.")
    spared: int = Field(description="Those of which only the first block ran; 0: no two steps were alike enough.")


class Task(BaseModel):
    """One submitted request and all that became of it."""

    model_config = ConfigDict(frozen=True)

    task_id: str = Field(description="UUIDv7: ids sort by time.")
    status: Status = Status.QUEUED
    request: Request
    plan: Plan
    phase: Phase | None = Field(default=None, description="Only while running.")
    progress: float = Field(default=0.0, ge=0, le=1, description="Of the whole task.")
    step: int | None = None
    total_steps: int | None = None
    outputs: tuple[Artifact, ...] = ()
    timings: Timings = Timings()
    attempts: int = Field(default=0, description="Runs started, a finished one included.")
    fence: int = Field(default=0, description="Grows with each claim; a finish needs the current one.")
    resumed_from_step: int | None = None
    fallbacks: tuple[str, ...] = Field(default=(), description="What was tried when memory ran out.")
    passes: Passes | None = Field(default=None, description="What the step cache spared; null without one.")
    peak_vram_bytes: int | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: Failure | None = None

    def with_(self, **changes: Any) -> Task:
        """A copy with some fields changed."""
        return self.model_copy(update=changes)

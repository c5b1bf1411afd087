"""What callers are shown of tasks and events: every public field name, and none that is internal, such as the fence."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from wan22.api.problems import BY_CODE, Problem
from wan22.api.services import Services
from wan22.tasks import (
    Artifact,
    Event,
    Failure,
    Forecast,
    ModelType,
    Passes,
    Phase,
    Plan,
    Request,
    Status,
    Task,
    Timings,
)

TASKS = "/api/v1/generation"


def rfc3339(at: datetime) -> str:
    """The instant in UTC, to the millisecond, ending in Z; a time without a zone is taken as UTC."""
    aware = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    return aware.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


UtcTime = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class View(BaseModel):
    """Base of what is shown."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class OutputView(View):
    """One finished file."""

    index: int = Field(description="Position among the task's outputs, from 0.")
    url: str = Field(description="Path of the file on this server; takes Range and If-None-Match.")
    thumbnail_url: str = Field(description="Path of a JPEG still.")
    format: str = Field(description="mp4, webm, gif, png or webp.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    num_frames: int = Field(description="Frames in the file.")
    fps: int = Field(description="Frames a second; 1 for a still picture.")
    duration_s: float = Field(description="0 for a still picture.")
    size_bytes: int = Field(description="Of the file.")
    sha256: str = Field(description="Of the file, in hex; also its ETag.")
    seed: int = Field(description="The seed that gives exactly these frames again.")


class TaskView(View):
    """A task: what was asked, how it is done, how far it is and what came of it."""

    task_id: str = Field(description="UUIDv7: ids sort by time.")
    status: Status = Field(description="queued, running, then completed, failed or cancelled, which never change.")
    cancel_requested: bool = Field(description="True from a cancel call until the running task has stopped.")
    phase: Phase | None = Field(description="What the run does now; null unless running.")
    progress: float = Field(description="Of the whole task, 0 to 1.")
    step: int | None = Field(description="Denoising steps done, of all outputs together; null before the first.")
    total_steps: int | None = Field(description="Denoising steps of all outputs together; null before the first.")
    queue_position: int | None = Field(description="1 is next; null unless queued.")
    eta_s: float | None = Field(description="Seconds until it is expected to end; null while that is not known.")
    model_type: ModelType = Field(description="The model that was asked for, or chosen.")
    request: Request = Field(description="As understood, with every default filled in.")
    plan: Plan = Field(description="How it is carried out, each choice with its reason.")
    outputs: tuple[OutputView, ...] = Field(description="The finished files; empty unless completed.")
    timings: Timings = Field(description="Seconds in each part of its life; while running, those so far.")
    attempts: int = Field(description="Runs started.")
    resumed_from_step: int | None = Field(description="Step that the last run began at; null if at the first.")
    fallbacks: tuple[str, ...] = Field(description="What was tried when memory ran out.")
    passes: Passes | None = Field(description="What the step cache spared, counted; null without one.")
    peak_vram_bytes: int | None = Field(description="Measured; null without a GPU.")
    created_at: UtcTime = Field(description="When it was accepted.")
    started_at: UtcTime | None = Field(description="When its last run began; null before.")
    finished_at: UtcTime | None = Field(description="When it came to its end; null before.")
    error: Problem | None = Field(description="Why it failed, as a problem.")


class EstimateView(View):
    """What a task would take, without being one."""

    request: Request = Field(description="As understood, with every default filled in.")
    plan: Plan = Field(description="How it would be carried out, each choice with its reason.")
    forecast: Forecast = Field(description="Seconds and memory by phase, and whether it fits.")


class LastError(View):
    """How the newest failed task ended, of a model or of all."""

    task_id: str = Field(description="Of the task.")
    at: UtcTime | None = Field(description="When it ended.")
    error: Problem = Field(description="Why, as a problem.")


class TaskPage(View):
    """Some tasks, newest first."""

    tasks: tuple[TaskView, ...] = Field(description="At most `limit`.")
    next_cursor: str | None = Field(description="Ask for the next page with it; null on the last.")


class EventView(View):
    """One message of the event streams. Ids grow for ever; send the last one seen to go on after it."""

    id: int = Field(description="Grows for ever, across restarts too.")
    type: str = Field(description="What happened, as `task.progress`.")
    task_id: str | None = Field(description="Null for what belongs to no task.")
    at: UtcTime = Field(description="When.")
    data: dict[str, Any] = Field(description="More about it, by type.")


_SAME = tuple(name for name in TaskView.model_fields if name in Task.model_fields and name not in ("outputs", "error"))
_SAME_OUTPUT = tuple(name for name in OutputView.model_fields if name in Artifact.model_fields)


def view_task(services: Services, task: Task) -> TaskView:
    """The task as it is shown now; asks the queue where it stands, so call it in a thread."""
    waits = task.status is Status.QUEUED
    position = services.queue.position(task.task_id) if waits else None
    return TaskView(
        **{name: getattr(task, name) for name in _SAME},
        cancel_requested=not task.status.is_terminal and services.queue.cancel_requested(task.task_id),
        queue_position=(position or 1) if waits else None,  # without one it was the next, and is claimed by now
        eta_s=None if task.status.is_terminal else services.queue.eta_s(task),
        model_type=task.request.model_type,
        outputs=tuple(view_output(task.task_id, artifact) for artifact in task.outputs),
        error=view_failure(task.task_id, task.error) if task.error else None,
    )


def view_output(task_id: str, artifact: Artifact) -> OutputView:
    """One output with the paths that it is fetched from."""
    url = f"{TASKS}/{task_id}/outputs/{artifact.index}"
    same = {name: getattr(artifact, name) for name in _SAME_OUTPUT}
    return OutputView(**same, url=url, thumbnail_url=f"{url}/thumbnail")


def view_event(event: Event) -> EventView:
    """One event as both streams send it."""
    return EventView(id=event.id, type=event.type.value, task_id=event.task_id, at=event.at, data=event.data)


def view_failure(task_id: str, failure: Failure) -> Problem:
    """Why a task failed, as the problem that it would have been in an answer."""
    return problem_from(failure, f"{TASKS}/{task_id}")


def problem_from(failure: Failure, path: str) -> Problem:
    """A recorded failure as the problem that it would have been in an answer to a call of `path`."""
    return Problem(
        detail=failure.detail,
        hint=failure.hint,
        code=failure.code,
        title=failure.title,
        status=BY_CODE.get(failure.code, 500),
        type=f"urn:wan22:problem:{failure.code}",
        instance=path,
    )

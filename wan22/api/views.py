"""What callers are shown of tasks and events: every public field name, and none that is internal, such as the fence."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from wan22.api.problems import BY_CODE, Problem
from wan22.api.services import Services
from wan22.tasks import Artifact, Event, Failure, ModelType, Phase, Plan, Request, Status, Task, Timings

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

    index: int
    url: str = Field(description="Path of the file on this server; takes Range and If-None-Match.")
    thumbnail_url: str = Field(description="Path of a JPEG still.")
    format: str = Field(description="mp4, webm, gif, png or webp.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    num_frames: int
    fps: int = Field(description="Frames a second; 1 for a still picture.")
    duration_s: float = Field(description="0 for a still picture.")
    size_bytes: int
    sha256: str = Field(description="Of the file, in hex; also its ETag.")
    seed: int = Field(description="The seed that gives exactly these frames again.")


class TaskView(View):
    """A task: what was asked, how it is done, how far it is and what came of it."""

    task_id: str = Field(description="UUIDv7: ids sort by time.")
    status: Status
    cancel_requested: bool = Field(description="True from a cancel call until the running task has stopped.")
    phase: Phase | None = Field(description="Only while running.")
    progress: float = Field(description="Of the whole task, 0 to 1.")
    step: int | None = Field(description="Denoising steps done of the current output.")
    total_steps: int | None
    queue_position: int | None = Field(description="1 is next; null unless queued.")
    eta_s: float | None = Field(description="Seconds until it is expected to end; null while that is not known.")
    model_type: ModelType
    request: Request = Field(description="As understood, with every default filled in.")
    plan: Plan = Field(description="How it is carried out, each choice with its reason.")
    outputs: tuple[OutputView, ...]
    timings: Timings
    attempts: int = Field(description="Runs started.")
    resumed_from_step: int | None
    fallbacks: tuple[str, ...] = Field(description="What was tried when memory ran out.")
    peak_vram_bytes: int | None = Field(description="Measured; null without a GPU.")
    created_at: UtcTime
    started_at: UtcTime | None
    finished_at: UtcTime | None
    error: Problem | None = Field(description="Why it failed, as a problem.")


class TaskPage(View):
    """Some tasks, newest first."""

    tasks: tuple[TaskView, ...]
    next_cursor: str | None = Field(description="Ask for the next page with it; null on the last.")


class EventView(View):
    """One message of the event streams. Ids grow for ever; send the last one seen to go on after it."""

    id: int
    type: str
    task_id: str | None
    at: UtcTime
    data: dict[str, Any]


_SAME = tuple(name for name in TaskView.model_fields if name in Task.model_fields and name not in ("outputs", "error"))
_SAME_OUTPUT = tuple(name for name in OutputView.model_fields if name in Artifact.model_fields)


def view_task(services: Services, task: Task) -> TaskView:
    """The task as it is shown now; asks the queue where it stands, so call it in a thread."""
    return TaskView(
        **{name: getattr(task, name) for name in _SAME},
        cancel_requested=not task.status.is_terminal and services.queue.cancel_requested(task.task_id),
        queue_position=services.queue.position(task.task_id) if task.status is Status.QUEUED else None,
        eta_s=None if task.status.is_terminal else services.queue.eta_s(task),
        model_type=task.request.model_type,
        outputs=tuple(view_output(task.task_id, artifact) for artifact in task.outputs),
        error=_view_failure(task.task_id, task.error) if task.error else None,
    )


def view_output(task_id: str, artifact: Artifact) -> OutputView:
    """One output with the paths that it is fetched from."""
    url = f"{TASKS}/{task_id}/outputs/{artifact.index}"
    same = {name: getattr(artifact, name) for name in _SAME_OUTPUT}
    return OutputView(**same, url=url, thumbnail_url=f"{url}/thumbnail")


def view_event(event: Event) -> EventView:
    """One event as both streams send it."""
    return EventView(id=event.id, type=event.type.value, task_id=event.task_id, at=event.at, data=event.data)


def _view_failure(task_id: str, failure: Failure) -> Problem:
    return Problem(
        detail=failure.detail,
        hint=failure.hint,
        code=failure.code,
        title=failure.title,
        status=BY_CODE.get(failure.code, 500),
        type=f"urn:wan22:problem:{failure.code}",
        instance=f"{TASKS}/{task_id}",
    )

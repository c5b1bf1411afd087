"""What the events about tasks say: one function for each kind, giving its type and data. Pure."""

from __future__ import annotations

import base64
from typing import Any

from wan22.tasks import EventType, Failure, ModelType, Status, Task

Message = tuple[EventType, str, dict[str, Any]]
"""Type, task id and data of an event, as `Feed.publish` and `Emit` take them."""

_END = {Status(type.value.removeprefix("task.")): type for type in EventType if type.is_terminal}


def queued(task_id: str, model_type: ModelType, *, position: int | None) -> Message:
    """It waits; 1 is next."""
    data = {"status": Status.QUEUED.value, "model_type": model_type.value, "position": position}
    return EventType.TASK_QUEUED, task_id, data


def started(task: Task) -> Message:
    """A run has begun."""
    data = {"status": task.status.value, "model_type": task.request.model_type.value, "attempts": task.attempts}
    return EventType.TASK_STARTED, task.task_id, data


def ended(
    task_id: str, model_type: ModelType, status: Status, *, outputs: int = 0, error: Failure | None = None
) -> Message:
    """It has come to one of the states that never change."""
    data = {
        "status": status.value,
        "model_type": model_type.value,
        "outputs": outputs,
        "error": error.model_dump(mode="json") if error else None,
    }
    return _END[status], task_id, data


def ended_as(task: Task) -> Message:
    """The same, of a whole record."""
    outputs = len(task.outputs)
    return ended(task.task_id, task.request.model_type, task.status, outputs=outputs, error=task.error)


def progressed(task: Task, *, eta_s: float | None) -> Message:
    """A running task, with its live values, has come further."""
    data = {
        "status": task.status.value,
        "model_type": task.request.model_type.value,
        "phase": task.phase.value if task.phase else None,
        "progress": task.progress,
        "step": task.step,
        "total_steps": task.total_steps,
        "eta_s": eta_s,
    }
    return EventType.TASK_PROGRESS, task.task_id, data


def previewed(task: Task, jpeg: bytes, *, width: int, height: int) -> Message:
    """How its latents look now."""
    data = {
        "model_type": task.request.model_type.value,
        "width": width,
        "height": height,
        "mime": "image/jpeg",
        "image": base64.b64encode(jpeg).decode("ascii"),
    }
    return EventType.TASK_PREVIEW, task.task_id, data

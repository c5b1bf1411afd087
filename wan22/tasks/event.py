"""Events: what happened, as values. Stored and fanned out by `queue`; read by WebSocket, SSE and monitoring."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class EventType(str, Enum):
    """Every kind of message on the wire."""

    TASK_QUEUED = "task.queued"
    TASK_STARTED = "task.started"
    TASK_PROGRESS = "task.progress"
    TASK_PREVIEW = "task.preview"
    TASK_COMPLETED = "task.completed"
    TASK_FAILED = "task.failed"
    TASK_CANCELLED = "task.cancelled"
    MODEL_LOADED = "model.loaded"
    MODEL_UNLOADED = "model.unloaded"
    MODEL_DOWNLOAD = "model.download"
    ALERT_RAISED = "alert.raised"
    ALERT_CLEARED = "alert.cleared"
    SYSTEM_METRICS = "system.metrics"

    @property
    def is_durable(self) -> bool:
        """Durable events are stored and never dropped; the others are coalesced, the latest wins."""
        return self not in _COALESCED

    @property
    def is_terminal(self) -> bool:
        """True for the three that tell of a task's end: no other event of the task follows."""
        return self in (EventType.TASK_COMPLETED, EventType.TASK_FAILED, EventType.TASK_CANCELLED)


_COALESCED = (EventType.TASK_PROGRESS, EventType.TASK_PREVIEW, EventType.MODEL_DOWNLOAD, EventType.SYSTEM_METRICS)


class Event(BaseModel):
    """One thing that happened. Ids grow for ever, across restarts too: a reader replays from its last one."""

    model_config = ConfigDict(frozen=True)

    id: int = Field(ge=0)
    type: EventType
    task_id: str | None = Field(default=None, description="None for events that belong to no task.")
    at: datetime = Field(description="UTC.")
    data: dict[str, Any] = Field(default_factory=dict)

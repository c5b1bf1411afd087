"""The verbs on tasks that exist: look, list, cancel, retry, delete. Blocking; the routes call them in a thread."""

from __future__ import annotations

import re

from wan22.api.services import Services
from wan22.api.views import TaskPage, TaskView, view_task
from wan22.errors import NotFound
from wan22.tasks import ModelType, Status

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def known_id(task_id: str) -> str:
    """The id as the queue has it. Raises NotFound for what can't be one, before it reaches any table or path."""
    tidy = task_id.lower()
    if not _UUID.fullmatch(tidy):
        raise NotFound(
            f"There is no task {task_id[:80]!r}.", hint="An id looks like 01980f2e-5b5c-7d3a-9f7e-3a1b2c4d5e6f."
        )
    return tidy


def get(services: Services, task_id: str) -> TaskView:
    """The task as it stands now. Raises NotFound."""
    return view_task(services, services.queue.get(known_id(task_id)))


def list_(
    services: Services, *, status: Status | None, model_type: ModelType | None, limit: int, cursor: str | None
) -> TaskPage:
    """Tasks, newest first. Raises InvalidRequest for a cursor that this server did not give."""
    page = services.queue.list(status=status, model_type=model_type, limit=limit, cursor=cursor)
    return TaskPage(tasks=tuple(view_task(services, task) for task in page.tasks), next_cursor=page.next_cursor)


def cancel(services: Services, task_id: str) -> TaskView:
    """Ask a queued or running task to stop. Raises NotFound; WrongState if it has ended."""
    return view_task(services, services.queue.cancel(known_id(task_id)))


def retry(services: Services, task_id: str) -> TaskView:
    """A new task from a failed or cancelled one. Raises NotFound, WrongState, QueueFull."""
    return view_task(services, services.queue.retry(known_id(task_id)))


def delete(services: Services, task_id: str) -> None:
    """Cancel the task if needed, then remove its record and its files. Raises NotFound."""
    services.queue.delete(known_id(task_id))
    services.outputs.remove(known_id(task_id))

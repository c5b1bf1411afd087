"""The verbs on tasks that exist: look, list, cancel, retry, delete. Blocking; the routes call them in a thread."""

from __future__ import annotations

from wan22.api.handlers.pictures import drop_unused, pictures_of
from wan22.api.handlers.submit import check_disk
from wan22.api.services import Services
from wan22.api.views import TaskPage, TaskView, view_task
from wan22.tasks import ModelType, Status


def get(services: Services, task_id: str) -> TaskView:
    """The task as it stands now. Raises NotFound."""
    return view_task(services, services.queue.get(task_id))


def list_(
    services: Services, *, status: Status | None, model_type: ModelType | None, limit: int, cursor: str | None
) -> TaskPage:
    """Tasks, newest first. Raises InvalidRequest for a cursor that this server did not give."""
    page = services.queue.list(status=status, model_type=model_type, limit=limit, cursor=cursor)
    return TaskPage(tasks=tuple(view_task(services, task) for task in page.tasks), next_cursor=page.next_cursor)


def cancel(services: Services, task_id: str) -> TaskView:
    """Ask a queued or running task to stop. Raises NotFound; WrongState if it has ended."""
    return view_task(services, services.queue.cancel(task_id))


def retry(services: Services, task_id: str) -> TaskView:
    """A new task from a failed or cancelled one, planned for the machine and the weights of now.

    Raises NotFound, WrongState, DiskFull, QueueFull, ModelMissing, ModelCorrupt, ConfigurationError, and InvalidRequest
    where it would not fit this machine.
    """
    old = services.queue.get(task_id)
    check_disk(services.settings.storage)
    plan = services.planner.again(old.request)
    return view_task(services, services.queue.retry(old.task_id, plan=plan))


def delete(services: Services, task_id: str) -> None:
    """Cancel the task if needed, then remove its record, its files, and its pictures that no other task refers to.

    Raises NotFound.
    """
    task = services.queue.get(task_id)
    services.queue.delete(task.task_id)
    with services.pictures:
        drop_unused(pictures_of(task.request), services)
    services.outputs.remove(task.task_id)

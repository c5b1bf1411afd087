"""What a new start does with the tasks that the last one left running when it died. Decides; `Queue` carries it out."""

from __future__ import annotations

from datetime import datetime

from wan22.errors import WorkerCrashed
from wan22.queue import messages
from wan22.queue.feed import Emit
from wan22.queue.order import Order
from wan22.store import Tables
from wan22.tasks import Failure, Status

CRASHED = Failure(
    code=WorkerCrashed.code,
    title=WorkerCrashed.title,
    detail="The server died each time it ran this task.",
    hint=WorkerCrashed.default_hint,
)


def recover(tables: Tables, emit: Emit, *, order: Order, boot_id: int, at: datetime, max_attempts: int) -> int:
    """Cancel, fail or queue again what ran under an earlier start, and tell of each; how many there were.

    Cancelled if that was asked for; failed if it has been started `max_attempts` times, since it may be what kills
    the server; else back in its old place in the queue. Three statements, however many tasks there are.
    """
    tasks = tables.tasks
    cancelled = tasks.recover_cancelled(boot_id=boot_id, at=at)
    failed = tasks.recover_failed(boot_id=boot_id, at=at, max_attempts=max_attempts, error=CRASHED)
    again = tasks.recover_queued(boot_id=boot_id)
    for task in cancelled:
        emit(*messages.ended(task.task_id, task.model_type, Status.CANCELLED))
    for task in failed:
        emit(*messages.ended(task.task_id, task.model_type, Status.FAILED, error=CRASHED))
    positions = order.positions(tasks.waiting()) if again else {}
    for task in again:
        emit(*messages.queued(task.task_id, task.model_type, position=positions[task.task_id]))
    return len(cancelled) + len(failed) + len(again)

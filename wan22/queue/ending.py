"""How a task ends or goes back: each move with the event that tells of it. Called inside a transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from wan22.errors import WrongState
from wan22.queue import messages
from wan22.queue.claim import Claim
from wan22.queue.feed import Emit
from wan22.queue.lookup import get_task
from wan22.queue.order import Order
from wan22.store import Tables
from wan22.tasks import Status, Task


def finish(tables: Tables, emit: Emit, claim: Claim, **changes: Any) -> Task | None:
    """Record how the claim's run ended; None, and nothing changed, if the task no longer runs under it."""
    task = tables.tasks.find(claim.task.task_id)
    if task is None or not claim.holds(task):
        return None
    ended = claim.reporter.merge(task).with_(phase=None, **changes)
    tables.tasks.move(task, ended)
    emit(*messages.ended_as(ended))
    return ended


def put_back(tables: Tables, emit: Emit, claim: Claim, *, order: Order, at: datetime) -> Task | None:
    """Queue the claim's task again in its old place, as if it had not been claimed; cancelled if that was asked for.

    None, and nothing changed, if it no longer runs under the claim.
    """
    task = tables.tasks.find(claim.task.task_id)
    if task is None or not claim.holds(task):
        return None
    if tables.tasks.is_cancel_requested(task.task_id):
        return finish(tables, emit, claim, status=Status.CANCELLED, finished_at=at)
    waiting = task.with_(status=Status.QUEUED, attempts=task.attempts - 1, started_at=None)
    tables.tasks.move(task, waiting)
    position = order.positions(tables.tasks.waiting())[task.task_id]
    emit(*messages.queued(task.task_id, task.request.model_type, position=position))
    return waiting


def cancel(tables: Tables, emit: Emit, task_id: str, *, at: datetime) -> Task:
    """Cancel a waiting task; remember of a running one that it is to stop. Raises NotFound, WrongState."""
    task = get_task(tables, task_id)
    if task.status.is_terminal:
        raise WrongState(f"Task {task_id} is {task.status.value} already; it can be deleted, not cancelled.")
    if task.status is Status.RUNNING:
        tables.tasks.request_cancel(task_id)
        return task
    cancelled = task.with_(status=Status.CANCELLED, finished_at=at)
    tables.tasks.move(task, cancelled)
    emit(*messages.ended_as(cancelled))
    return cancelled


def remove(tables: Tables, emit: Emit, task_id: str) -> tuple[Task, int | None]:
    """Delete the record and its events. Gives what it was, and the id of its last event if that had to be told.

    A task that has not ended is told to be cancelled; that event stays. Raises NotFound.
    """
    task = get_task(tables, task_id)
    tables.events.remove_of(task_id)
    tables.tasks.remove(task_id)
    if task.status.is_terminal:
        return task, None
    return task, emit(*messages.ended_as(task.with_(status=Status.CANCELLED))).id

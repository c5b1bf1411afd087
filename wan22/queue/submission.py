"""How a task is accepted: the same one twice is one, and one too many is refused. Called inside a transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from uuid6 import uuid7

from wan22.errors import IdempotencyMismatch, InvalidRequest, QueueFull
from wan22.queue import messages
from wan22.queue.eta import pace_of, work_of
from wan22.queue.feed import Emit
from wan22.queue.order import Order
from wan22.store import Tables
from wan22.tasks import Plan, Request, Task

KEY_LIFETIME = timedelta(hours=24)  # as long as Stripe keeps them, which is what clients are written for
MAX_KEY_CHARS = 255


@dataclass(frozen=True)
class Key:
    """An idempotency key and the fingerprint of the body that came with it; `text` is None where none was sent."""

    text: str | None
    fingerprint: str

    @classmethod
    def checked(cls, text: str | None, fingerprint: str) -> Key:
        """Raises InvalidRequest, naming the header, for a text that can be no key; None is no key."""
        if text is not None and not _can_be_key(text):
            message = f"must be 1 to {MAX_KEY_CHARS} printable ASCII characters: a UUID does well."
            raise InvalidRequest.of("Idempotency-Key", message, text)
        return cls(text, fingerprint)


def _can_be_key(text: str) -> bool:
    return bool(text.strip()) and len(text) <= MAX_KEY_CHARS and text.isascii() and text.isprintable()


def find_submitted(tables: Tables, key: Key, *, at: datetime) -> Task | None:
    """The task accepted under this key in the last day. Raises IdempotencyMismatch if another body asked for it."""
    earlier = tables.tasks.find_by_key(key.text) if key.text else None
    if earlier is None or at - earlier.task.created_at > KEY_LIFETIME:
        return None
    if earlier.fingerprint != key.fingerprint:
        raise IdempotencyMismatch(f"Task {earlier.task.task_id} was submitted with this key and another body.")
    return earlier.task


@dataclass(frozen=True)
class Room:
    """How many tasks may wait, and when to come again if that many do."""

    max_queued: int
    retry_after_s: int


def check_room(tables: Tables, room: Room) -> None:
    """Raises QueueFull if as many tasks wait as may."""
    if tables.tasks.count_waiting(limit=room.max_queued) >= room.max_queued:
        raise QueueFull(
            f"{room.max_queued} tasks wait already; send it again in {room.retry_after_s} s.",
            retry_after_s=room.retry_after_s,
        )


def accept(tables: Tables, emit: Emit, task: Task, *, key: Key, room: Room, order: Order) -> Task:
    """Put a new task at the end of its priority. Raises QueueFull."""
    check_room(tables, room)
    if key.text:
        tables.tasks.free_key(key.text)  # `find_submitted` let it pass, so it is over a day old
    request, plan = task.request, task.plan
    tables.tasks.add(
        task,
        pace=pace_of(request, plan),
        work=work_of(request, plan),
        idempotency_key=key.text,
        fingerprint=key.fingerprint,
    )
    position = order.positions(tables.tasks.waiting())[task.task_id]
    emit(*messages.queued(task.task_id, request.model_type, position=position))
    return task


def new_task(request: Request, plan: Plan, *, at: datetime) -> Task:
    """A task that nobody has seen yet."""
    return Task(task_id=str(uuid7()), request=request, plan=plan, created_at=at)

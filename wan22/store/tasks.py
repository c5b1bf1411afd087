"""The table of tasks: rows to `Task` and back, and the few moves that a queue needs. When to move is the queue's."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from wan22.errors import StoreError
from wan22.store.table import Table
from wan22.tasks import Failure, ModelType, Parts, Run, Status, Task, may_move
from wan22.tasks.sharing import model_for, run_for

_JSON = ("request", "plan", "outputs", "timings", "fallbacks", "passes", "error")
_NEWEST = 2**63 - 1  # over every sequence number


def _row(task: Task) -> dict[str, Any]:
    fields = task.model_dump(mode="json", exclude={"phase"})  # a phase is only while a run lasts
    for name in _JSON:
        fields[name] = None if fields[name] is None else json.dumps(fields[name])
    return fields


def _task(row: sqlite3.Row) -> Task:
    fields = {name: row[name] for name in Task.model_fields if name not in ("task_id", "phase")}
    for name in _JSON:
        fields[name] = None if fields[name] is None else json.loads(fields[name])
    try:
        return Task.model_validate({**fields, "task_id": row["id"]})
    except ValidationError as error:
        raise _unreadable(row["id"], error) from error


def _run(row: sqlite3.Row) -> Run:
    try:
        return Run.model_validate({**dict(row), "error": row["error"] and json.loads(row["error"])})
    except ValidationError as error:
        raise _unreadable(row["task_id"], error) from error


def _waiting(row: sqlite3.Row) -> Waiting:
    task_id, seq, priority, model, shares, at_once, pace, denoise, decode, encode = row
    return Waiting(task_id, seq, priority, model, shares, at_once, pace, Parts(denoise, decode, encode, 1.0))


def _unreadable(task_id: str, error: ValidationError) -> StoreError:
    return StoreError(
        f"The record of task {task_id} can't be read: {error.error_count()} values are wrong.",
        hint="Another version of the server may have written it; delete the task, or install that version.",
    )


@dataclass(frozen=True)
class Submitted:
    """A task and the fingerprint of the body that asked for it."""

    task: Task
    fingerprint: str


class Waiting(NamedTuple):
    """What decides when a waiting task is claimed, and what tells how long it will take."""

    task_id: str
    seq: int  # order of arrival
    priority: int
    model: str  # that it needs, by `tasks.sharing.model_name`
    shares: str | None  # tasks of the same one may share a run
    at_once: int  # tasks in such a run, at most
    pace: str
    work: Parts


@dataclass(frozen=True)
class Recovered:
    """A task that an earlier start left running, named as its events need."""

    task_id: str
    model_type: ModelType


@dataclass(frozen=True)
class Listed:
    """Some tasks, newest first, and the sequence number of the last if more may follow."""

    tasks: tuple[Task, ...]
    last_seq: int | None


class TaskTable(Table):
    """Every task from acceptance to deletion."""

    def add(
        self, task: Task, *, pace: str, work: Parts, idempotency_key: str | None = None, fingerprint: str = ""
    ) -> None:
        """A new task at the end of its priority. `pace` and `work` say how long it will take.

        The rest of the work is not kept: it is 1 for each task.
        """
        request = task.request
        self._change(
            "add_task",
            **_row(task),
            priority=request.priority,
            model_type=request.model_type.value,
            model=model_for(request, task.plan),
            shares=run_for(request, task.plan),
            at_once=task.plan.at_once,
            pace=pace,
            work=work.denoise,
            decode_work=work.decode,
            encode_work=work.encode,
            idempotency_key=idempotency_key,
            fingerprint=fingerprint,
            image_id=request.image.id if request.image else None,
            last_image_id=request.last_image.id if request.last_image else None,
        )

    def find(self, task_id: str) -> Task | None:
        """The task, or None."""
        row = self._one("find_task", task_id=task_id)
        return _task(row) if row else None

    def find_by_key(self, key: str) -> Submitted | None:
        """The task that was submitted under this idempotency key."""
        row = self._one("find_task_by_key", key=key)
        return Submitted(_task(row), row["fingerprint"]) if row else None

    def free_key(self, key: str) -> None:
        """Let the idempotency key be used again."""
        self._change("free_key", key=key)

    def move(self, before: Task, after: Task) -> bool:
        """Turn the record of `before` into `after`. False, and nothing changed, if it is no longer as `before` says.

        The status and the fence of `before` must still hold. Raises ValueError for a move that `tasks.MOVES` forbids.
        """
        if not may_move(before.status, after.status):
            raise ValueError(f"A task does not go from {before.status.value} to {after.status.value}.")
        values = {**_row(after), "before": before.status.value, "fence": before.fence}
        return self._change("move_task", **values) == 1

    def request_cancel(self, task_id: str) -> None:
        """Remember that the running task is to stop, even if the server dies first."""
        self._change("request_cancel", task_id=task_id)

    def is_cancel_requested(self, task_id: str) -> bool | None:
        """Whether it is to stop; None if there is no such task."""
        row = self._one("is_cancel_requested", task_id=task_id)
        return bool(row["cancel_requested"]) if row else None

    def refers_to(self, upload_id: str) -> bool:
        """Whether the request of any task names the picture."""
        return self._one("refers_to_upload", upload_id=upload_id) is not None

    def remove(self, task_id: str) -> None:
        """Delete the record."""
        self._change("remove_task", task_id=task_id)

    def waiting(self, *, limit: int = -1) -> tuple[Waiting, ...]:
        """Those that wait, by priority and order of arrival; the first `limit` of them, or all."""
        return tuple(map(_waiting, self._all("waiting", limit=limit)))

    def claim(self, task_id: str, *, boot_id: int, at: datetime) -> Task | None:
        """Start the waiting task under a new fence; None if it does not wait."""
        row = self._one("claim", task_id=task_id, boot_id=boot_id, at=at.isoformat())
        return _task(row) if row else None

    def heartbeat(self, task_id: str, *, fence: int, at: datetime) -> bool:
        """Note that the run goes on; False if it is no longer the task's current one."""
        return self._change("heartbeat", task_id=task_id, fence=fence, at=at.isoformat()) == 1

    def count_waiting(self, *, limit: int) -> int:
        """How many tasks wait, counted up to `limit`."""
        row = self._one("count_waiting", limit=limit)
        return int(row[0]) if row else 0

    def count_by_status(self) -> dict[Status, int]:
        """How many tasks there are in each status, zeros included."""
        counted = {Status(row[0]): int(row[1]) for row in self._all("count_by_status")}
        return {status: counted.get(status, 0) for status in Status}

    def list(
        self,
        *,
        status: Status | None = None,
        model_type: ModelType | None = None,
        before_seq: int | None = None,
        limit: int,
    ) -> Listed:
        """The newest tasks, or the newest before a sequence number."""
        filters = {
            name: value.value for name, value in (("status", status), ("model_type", model_type)) if value is not None
        }
        statement = {
            (): "list_tasks",
            ("status",): "list_tasks_by_status",
            ("model_type",): "list_tasks_by_model",
            ("status", "model_type"): "list_tasks_by_status_and_model",
        }[tuple(filters)]
        rows = self._all(statement, **filters, before=_NEWEST if before_seq is None else before_seq, limit=limit)
        return Listed(tuple(map(_task, rows)), rows[-1]["seq"] if len(rows) == limit else None)

    def history(self, model_type: ModelType, *, limit: int) -> tuple[Run, ...]:
        """How the newest tasks of a model went that completed or failed, newest first."""
        return tuple(map(_run, self._all("history", model_type=model_type.value, limit=limit)))

    def recover_cancelled(self, *, boot_id: int, at: datetime) -> tuple[Recovered, ...]:
        """Cancel what ran under an earlier start and was asked to stop. Before `recover_failed`."""
        return self._recover("recover_cancelled", boot_id=boot_id, at=at.isoformat())

    def recover_failed(self, *, boot_id: int, at: datetime, max_attempts: int, error: Failure) -> tuple[Recovered, ...]:
        """Fail what ran under an earlier start for the last time it may. Before `recover_queued`."""
        values = {"at": at.isoformat(), "max_attempts": max_attempts, "error": error.model_dump_json()}
        return self._recover("recover_failed", boot_id=boot_id, **values)

    def recover_queued(self, *, boot_id: int) -> tuple[Recovered, ...]:
        """Put the rest of what ran under an earlier start back where it was in the queue."""
        return self._recover("recover_queued", boot_id=boot_id)

    def _recover(self, statement: str, **values: Any) -> tuple[Recovered, ...]:
        return tuple(Recovered(row["id"], ModelType(row["model_type"])) for row in self._all(statement, **values))

"""The queue: the only room that changes a task's status. Every verb is one transaction with the events that tell of it.

A run is at least once, its end exactly once: each claim has a higher fence, and a finish under an older one changes
nothing. Running a task is the worker's; its files are `media`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from math import ceil
from typing import Any

from wan22.errors import WrongState
from wan22.queue import ending, messages
from wan22.queue.claim import Claim
from wan22.queue.eta import Pace
from wan22.queue.feed import Emit, Feed
from wan22.queue.lookup import get_task, known_id
from wan22.queue.order import Order, work_by_pace
from wan22.queue.page import Page, checked_limit, cursor_after, seq_in
from wan22.queue.peaks import Peaks
from wan22.queue.recovery import recover
from wan22.queue.reporter import RunReporter
from wan22.queue.submission import Key, Room, accept, check_room, find_submitted, new_task
from wan22.settings import QueueSettings
from wan22.store import Store, Tables, Waiting
from wan22.tasks import Artifact, Failure, ModelType, Plan, Request, Run, Seen, Status, Task

logger = logging.getLogger(__name__)

HISTORY = 500  # ended tasks of a model that its history is made of; they keep the store busy for some 40 ms
LEARN_FROM = 50  # completed tasks from which a new start learns how long they take
RETRY_AFTER_S = 30  # while nothing is known
MAX_RETRY_AFTER_S = 120  # clients stop retrying above that


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class Queue:
    """Tasks from acceptance to their end. Every method may be called from any thread; it waits for the store.

    What it has accepted or answered is on disk. Raises StoreError and DiskFull. The wall clock `now` is only shown
    and kept, and ages idempotency keys; neither order nor leases depend on it.
    """

    def __init__(
        self, store: Store, feed: Feed, settings: QueueSettings, *, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self._store = store
        self._feed = feed
        self._settings = settings
        self._now = now
        self._pace = Pace()
        self._peaks = Peaks()
        self._runs: dict[tuple[str, int], RunReporter] = {}  # by task and fence, from claim to finish
        self.on_work: Callable[[], None] = lambda: None
        """Called from any thread when a task has come to wait; must return at once."""
        self.loaded: Callable[[], frozenset[str]] = frozenset
        """The loaded models, by `tasks.sharing.model_name`: what needs one of them may go first. From any thread."""

    def recover(self) -> int:
        """Cancel, fail or queue again what the last start left running, and learn from what it completed.

        Call it once, before the first `claim`. Gives how many tasks were found running.
        """
        rules: dict[str, Any] = {
            "order": self._order(),
            "boot_id": self._feed.boot_id,
            "max_attempts": self._settings.max_attempts,
        }
        found = self._feed.transact(lambda tables, emit: recover(tables, emit, at=self._now(), **rules), vital=True)
        for status in (Status.COMPLETED, Status.FAILED):
            for task in reversed(self._newest(status)):
                self._learn(task)
        if found:
            logger.warning("%d tasks ran when the server died.", found, extra={"action": "queue.recover"})
        self.on_work()
        return found

    # For those who send tasks

    def submit(
        self, request: Request, plan: Plan, *, idempotency_key: str | None = None, fingerprint: str = ""
    ) -> Task:
        """Accept a task; it is on disk when this returns.

        The same key and fingerprint give the same task for a day, another fingerprint raises IdempotencyMismatch.
        Raises QueueFull when as many wait as may.
        """
        key, room, order = Key.checked(idempotency_key, fingerprint), self._room(), self._order()

        def work(tables: Tables, emit: Emit) -> Task:
            at = self._now()
            earlier = find_submitted(tables, key, at=at)
            return earlier or accept(tables, emit, new_task(request, plan, at=at), key=key, room=room, order=order)

        return self._announced(self._feed.transact(work))

    def find_submitted(self, idempotency_key: str | None, fingerprint: str) -> Task | None:
        """The task that `submit` would give again for this key and fingerprint. Raises IdempotencyMismatch."""
        key = Key.checked(idempotency_key, fingerprint)
        task = self._store.read(lambda tables: find_submitted(tables, key, at=self._now()))
        return task and self._live(task)

    def check_room(self) -> None:
        """Raise QueueFull if `submit` would now; for callers that would store something first."""
        room = self._room()
        self._store.read(lambda tables: check_room(tables, room))

    def retry(self, task_id: str, *, plan: Plan | None = None) -> Task:
        """A new task with the request of a failed or cancelled one, and its plan unless a newer one is given.

        Raises NotFound, WrongState, QueueFull.
        """
        room, order = self._room(), self._order()

        def work(tables: Tables, emit: Emit) -> Task:
            old = get_task(tables, task_id)
            if old.status not in (Status.FAILED, Status.CANCELLED):
                raise WrongState(f"Task {task_id} is {old.status.value}; a failed or cancelled one can be retried.")
            task = new_task(old.request, plan or old.plan, at=self._now())
            return accept(tables, emit, task, key=Key(None, ""), room=room, order=order)

        return self._announced(self._feed.transact(work))

    def cancel(self, task_id: str) -> Task:
        """Cancel a waiting task at once; ask a running one to stop, which then ends as cancelled, after a restart too.

        Asking again is no error. Raises NotFound; WrongState if the task has ended.
        """

        def work(tables: Tables, emit: Emit) -> Task:
            return ending.cancel(tables, emit, task_id, at=self._now())

        task = self._feed.transact(work, vital=True)
        if run := self._run_of(task):
            run.stop()
        return self._live(task)

    def delete(self, task_id: str) -> None:
        """Remove the record and its events; a run is stopped, and its finish will change nothing. Raises NotFound.

        Of a task that had not ended, readers are told that it was cancelled.
        """
        task, last_event = self._feed.transact(lambda tables, emit: ending.remove(tables, emit, task_id), vital=True)
        self._feed.forget(task_id, before=last_event)
        if run := self._run_of(task):
            run.stop()
            run.close()

    # For those who look

    def get(self, task_id: str) -> Task:
        """The task, with its run's live phase, progress and timings. Raises NotFound, for any string."""
        return self._live(self._store.read(lambda tables: get_task(tables, task_id)))

    def list(
        self,
        *,
        status: Status | None = None,
        model_type: ModelType | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page:
        """Tasks, newest first, from `cursor` on. Raises InvalidRequest for a wrong cursor, or limit (1 to 100)."""
        checked_limit(limit)
        before = None if cursor is None else seq_in(cursor)
        listed = self._store.read(
            lambda tables: tables.tasks.list(status=status, model_type=model_type, before_seq=before, limit=limit)
        )
        next_cursor = None if listed.last_seq is None else cursor_after(listed.last_seq)
        return Page(tuple(map(self._live, listed.tasks)), next_cursor)

    def history(self, model_type: ModelType) -> tuple[Run, ...]:
        """How the newest tasks of the model went that completed or failed, newest first, up to HISTORY."""
        return self._store.read(lambda tables: tables.tasks.history(model_type, limit=HISTORY))

    def counts(self) -> dict[Status, int]:
        """How many tasks there are in each status."""
        return self._store.read(lambda tables: tables.tasks.count_by_status())

    def position(self, task_id: str) -> int | None:
        """1 for the task that is claimed next, None for one that does not wait. Raises NotFound for what is no id."""
        return self._order().positions(self._waiting()).get(known_id(task_id))

    def eta_s(self, task: Task) -> float | None:
        """Seconds until the task ends, those ahead of it included; None when it has ended or too little is known."""
        if task.status is Status.RUNNING:
            run = self._run_of(task)
            return run.eta_s() if run else None
        work = work_by_pace(self._order().until(self._waiting(), task.task_id))
        waiting_s, running_s = self._pace.total_s(work), self._running_s()
        if not work or waiting_s is None or None in running_s:
            return None
        return waiting_s + max((seconds for seconds in running_s if seconds), default=0.0)  # they share one run

    def seconds_of(self, request: Request, plan: Plan) -> Seen | None:
        """How long such a task runs, by those that ran before; None where there was none."""
        return self._pace.foretell(request, plan)

    def vram_correction(self, plan: Plan) -> float:
        """What runs as `plan` has them needed of the GPU's memory, by what was counted."""
        return self._peaks.correction(plan)

    def refers_to(self, upload_id: str) -> bool:
        """Whether any task's request names that stored picture."""
        return self._store.read(lambda tables: tables.tasks.refers_to(upload_id))

    def cancel_requested(self, task_id: str) -> bool:
        """Whether a run of the task is to end as cancelled: that was asked for, or the record is deleted."""
        return self._store.read(lambda tables: tables.tasks.is_cancel_requested(known_id(task_id))) is not False

    # For the worker

    def claim(self) -> Claim | None:
        """Start the next task, as `order` has it. None if none waits."""
        return next(iter(self._claim(at_most=1)), None)

    def claim_together(self) -> tuple[Claim, ...]:
        """Start the next task and those that may share its run, each under its own fence; empty if none waits."""
        return self._claim(at_most=None)

    def _claim(self, *, at_most: int | None) -> tuple[Claim, ...]:
        order = self._order()

        def work(tables: Tables, emit: Emit) -> list[Task]:
            turn = order.next_turn(tables.tasks.waiting(limit=order.enough))[:at_most]
            started = (self._start(tables, emit, one.task_id) for one in turn)
            return [task for task in started if task]

        claims = tuple(map(self._begun, self._feed.transact(work)))
        for place, claim in enumerate(claims):
            claim.reporter.share(len(claims), place=place)
        return claims

    def _start(self, tables: Tables, emit: Emit, task_id: str) -> Task | None:
        task = tables.tasks.claim(task_id, boot_id=self._feed.boot_id, at=self._now())
        if task:
            emit(*messages.started(task))
        return task

    def _begun(self, task: Task) -> Claim:
        learned = self._pace.foretell(task.request, task.plan)
        reporter = RunReporter(task, self._feed, learned=learned.seconds if learned else None)
        self._runs[task.task_id, task.fence] = reporter
        if self.cancel_requested(task.task_id):  # a cancel since the claim found no reporter to stop
            reporter.stop()
        return Claim(task, task.fence, reporter)

    def heartbeat(self, claim: Claim) -> bool:
        """Note that the run goes on; False if the task no longer runs under this claim."""
        task_id, fence = claim.task.task_id, claim.fence
        return self._store.write(lambda tables: tables.tasks.heartbeat(task_id, fence=fence, at=self._now()))

    def complete(self, claim: Claim, outputs: Sequence[Artifact], *, peak_vram_bytes: int | None = None) -> bool:
        """The run made its outputs.

        False, as from all four ways to finish, if the task no longer runs under the claim; then nothing has changed.
        """
        done = {"outputs": tuple(outputs), "peak_vram_bytes": peak_vram_bytes, "progress": 1.0}
        task = self._finish(claim, Status.COMPLETED, **done)
        return task is not None

    def fail(self, claim: Claim, failure: Failure) -> bool:
        """The run ended with an error."""
        return self._finish(claim, Status.FAILED, error=failure) is not None

    def stop(self, claim: Claim) -> bool:
        """The run ended because it was cancelled."""
        return self._finish(claim, Status.CANCELLED) is not None

    def release(self, claim: Claim) -> bool:
        """The run ended because the server stops: back in its old place, and no attempt; or cancelled, if asked to."""
        order = self._order()
        task = self._feed.transact(
            lambda tables, emit: ending.put_back(tables, emit, claim, order=order, at=self._now()), vital=True
        )
        self._drop_run(claim)
        return task is not None

    def _finish(self, claim: Claim, status: Status, **changes: Any) -> Task | None:
        ended = {"status": status, "finished_at": self._now(), **changes}
        task = self._feed.transact(lambda tables, emit: ending.finish(tables, emit, claim, **ended), vital=True)
        self._drop_run(claim)
        if task:
            self._learn(task)
        return task

    def _newest(self, status: Status) -> tuple[Task, ...]:
        return self._store.read(lambda tables: tables.tasks.list(status=status, limit=LEARN_FROM)).tasks

    def _learn(self, task: Task) -> None:
        self._peaks.learn(task)
        if task.status is Status.COMPLETED:
            self._pace.learn(task)

    def _order(self) -> Order:
        return Order(self._settings.max_passed, self.loaded())

    def _waiting(self) -> tuple[Waiting, ...]:
        return self._store.read(lambda tables: tables.tasks.waiting())

    # The runs of this start

    def _run_of(self, task: Task) -> RunReporter | None:
        return self._runs.get((task.task_id, task.fence)) if task.status is Status.RUNNING else None

    def _live(self, task: Task) -> Task:
        run = self._run_of(task)
        return run.merge(task) if run else task

    def _drop_run(self, claim: Claim) -> None:
        self._runs.pop((claim.task.task_id, claim.fence), None)
        claim.reporter.close()

    def _running_s(self) -> tuple[float | None, ...]:
        return tuple(run.eta_s() for run in tuple(self._runs.values()))

    def _room(self) -> Room:
        soonest = min((seconds for seconds in self._running_s() if seconds is not None), default=RETRY_AFTER_S)
        return Room(self._settings.max_queued, ceil(min(max(soonest, 1), MAX_RETRY_AFTER_S)))

    def _announced(self, task: Task) -> Task:
        self.on_work()
        return self._live(task)

"""The downloads and verifications of this server: at most one at a time for each model, each in a thread of its own.

What to fetch is `weights`', the fetching `download`'s. A server that starts begins none by itself: who wants one asks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from wan22.errors import Cancelled, ServerFault, Wan22Error, WrongState
from wan22.models.check_plan import CheckPlan, plan_check, refuse_what_is_lent
from wan22.models.in_turn import Run
from wan22.models.run_status import Kind, RunStatus, State
from wan22.models.specs import OFFICIAL
from wan22.models.verification import Check, WrongFile
from wan22.models.weights import Weights
from wan22.models.weights_plan import WeightsPlan
from wan22.tasks import Failure, ModelType

logger = logging.getLogger(__name__)

THREAD = "wan22-models"
EVERY_S = 1.0  # between two calls of `on_change`
CLOSE_S = 3.0  # what a stop waits for: a run ends within about a second, and its parts are kept anyway


@dataclass
class _Job:
    """One run as it goes on; guarded by the lock of Downloads."""

    model_type: ModelType
    variant: str
    kind: Kind
    repository: str | None
    target: Path
    run: Run
    asked: tuple[object, ...] = ()  # with what; only the same is joined
    started_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    state: State = "running"
    ended_at: datetime | None = None
    is_cancelled: bool = False
    wrong: tuple[WrongFile, ...] = ()
    error: Failure | None = None
    watcher: threading.Thread | None = None


class Downloads:
    """Starts runs, tells how they stand, ends them. Every method may be called from any thread.

    `on_change` is called about once a second for each run and at its end, from a thread of that run.
    """

    def __init__(
        self, weights: Weights, on_change: Callable[[RunStatus], None] = lambda _: None, *, every_s: float = EVERY_S
    ) -> None:
        self._weights = weights
        self._on_change = on_change
        self._every_s = every_s
        self._lock = threading.Lock()
        self._jobs: dict[ModelType, _Job] = {}
        self._is_closed = False

    @property
    def weights(self) -> Weights:
        """What there is to fetch, and from where."""
        return self._weights

    @property
    def bytes_per_s(self) -> float | None:
        """The speed of the last download that ended, of this server or an earlier run; None before the first."""
        return self._weights.last_speed.find()

    def plan(self, model_type: ModelType, variant: str = OFFICIAL) -> WeightsPlan:
        """What a download would do. Asks the hub; raises DownloadFailed, InvalidRequest, WrongState."""
        return self._weights.plan(model_type, variant)

    def start(self, model_type: ModelType, variant: str = OFFICIAL, source: str | None = None) -> RunStatus:
        """Fetch what is missing, `source` first, or join the download that does. Asks the hub before it returns.

        Raises DownloadFailed, DiskFull before the first byte, InvalidRequest for a variant or a source that can't be,
        and WrongState while the model has another run.
        """
        if status := self._join(model_type, variant):
            return status
        plan = self._weights.plan(model_type, variant)
        run = self._weights.download(plan, source)
        job = _Job(model_type, variant, "download", plan.listing.repository, plan.target, run)
        return self._begin(job, run.run)

    def verify(
        self, model_type: ModelType, variant: str = OFFICIAL, *, quick: bool = False, repair: bool = False
    ) -> RunStatus:
        """Compare every file with its hash, or join the same run; with `repair` fetch what is wrong again.

        Raises as `plan_check` does, and WrongState for a repair of what can't be fetched, or while another run of the
        model is under way.
        """
        plan = self.plan_check(model_type, variant)
        if repair:
            plan.refuse_repair()
        run = Check(plan.sought, quick=quick)
        asked = (quick, repair)
        job = _Job(model_type, variant, "verify", plan.variant.repository, plan.target, run, asked=asked)
        return self._begin(job, lambda: self._verify(job, run, repair))

    def plan_check(self, model_type: ModelType, variant: str = OFFICIAL, *, quick: bool = False) -> CheckPlan:
        """What a verification would compare. Raises as `check_plan.plan_check` does."""
        return plan_check(self._weights, model_type, variant, quick=quick)

    def status(self) -> tuple[RunStatus, ...]:
        """The last run of every model that had one since the server started."""
        with self._lock:
            return tuple(_status_of(job) for job in self._jobs.values())

    def find(self, model_type: ModelType) -> RunStatus | None:
        """The last run of a model; None if it had none since the server started."""
        with self._lock:
            job = self._jobs.get(model_type)
            return _status_of(job) if job else None

    def cancel(self, model_type: ModelType) -> RunStatus:
        """Ask the run of a model to end; it does within about a second. Raises WrongState where none is under way."""
        with self._lock:
            job = self._running(model_type)
            if job is None:
                raise nothing_runs(model_type)
            job.is_cancelled = True
            job.run.cancel()
            return _status_of(job)

    def close(self) -> None:
        """Cancel all and wait a few seconds at most; what was fetched is kept."""
        with self._lock:
            self._is_closed = True
            running = [job for job in self._jobs.values() if job.state == "running"]
            for job in running:
                job.is_cancelled = True
                job.run.cancel()
        until = time.monotonic() + CLOSE_S
        for job in running:
            if job.watcher:
                job.watcher.join(max(0.0, until - time.monotonic()))

    def _join(self, model_type: ModelType, variant: str) -> RunStatus | None:
        """The same download, if it runs. Raises WrongState if another run of the model does."""
        with self._lock:
            job = self._running(model_type)
            if job and (job.kind, job.variant) != ("download", variant):
                raise _busy(job)
            return _status_of(job) if job else None

    def _running(self, model_type: ModelType) -> _Job | None:
        job = self._jobs.get(model_type)
        return job if job and job.state == "running" else None

    def _begin(self, job: _Job, work: Callable[[], None]) -> RunStatus:
        """Start the job, or join one that is the same: another caller may have come first while the hub was asked."""
        with self._lock:
            if self._is_closed:
                raise WrongState("The server is stopping.", hint="Start it again, then ask again.")
            if running := self._running(job.model_type):
                if _what(running) != _what(job):
                    raise _busy(running)
                return _status_of(running)
            self._jobs[job.model_type] = job
            job.watcher = threading.Thread(target=self._watch, args=(job, work), name=THREAD, daemon=True)
            job.watcher.start()
            return _status_of(job)

    def _watch(self, job: _Job, work: Callable[[], None]) -> None:
        """Have it done in another thread, and tell meanwhile. The one thread that tells, so that the end comes last."""
        worker = threading.Thread(target=self._carry_out, args=(job, work), name=THREAD, daemon=True)
        worker.start()
        while worker.is_alive():
            worker.join(self._every_s)
            if worker.is_alive():
                self._tell(job)
        self._tell(job)

    def _carry_out(self, job: _Job, work: Callable[[], None]) -> None:
        try:
            work()
        except Cancelled:
            self._end(job, "cancelled")
        except Wan22Error as error:
            self._end(job, "failed", error)
        except Exception:  # whatever it met, the status must say that it ended
            logger.exception("A download failed.", extra={"action": "download.failed"})
            self._end(job, "failed", ServerFault("The run ended with an error that was not foreseen."))
        else:
            self._end(job, "done")

    def _verify(self, job: _Job, run: Check, repair: bool) -> None:
        run.run()
        with self._lock:
            job.wrong = run.wrong
        if repair and run.wrong:
            run.remove_wrong()
            self._go_on(job, self._weights.download(self._weights.plan(job.model_type, job.variant)))
            job.run.run()
            refuse_what_is_lent(run)

    def _go_on(self, job: _Job, run: Run) -> None:
        """From here on the job is a download."""
        with self._lock:
            job.kind, job.asked, job.run = "download", (), run
            if job.is_cancelled:
                run.cancel()

    def _end(self, job: _Job, state: State, error: Wan22Error | None = None) -> None:
        model = job.model_type.value
        told = {"action": "download.ended", "model_type": model}
        logger.info("The %s of %s: %s", job.kind, model, error.detail if error else f"{state}.", extra=told)
        with self._lock:
            job.state, job.ended_at, job.error = state, datetime.now(timezone.utc), Failure.of(error) if error else None

    def _tell(self, job: _Job) -> None:
        with self._lock:
            status = _status_of(job)
        self._on_change(status)


def nothing_runs(model_type: ModelType) -> WrongState:
    """What is said of a cancel that comes too late, or for nothing."""
    return WrongState(
        f"Nothing is being downloaded or verified for {model_type.value}.",
        hint="`GET /api/v1/models/download/progress` has the runs, also those that ended.",
    )


def _status_of(job: _Job) -> RunStatus:
    return RunStatus(
        model_type=job.model_type,
        kind=job.kind,
        state=job.state,
        repository=job.repository,
        target=job.target,
        progress=job.run.progress(),
        started_at=job.started_at,
        ended_at=job.ended_at,
        cancel_requested=job.is_cancelled and job.state == "running",
        wrong=job.wrong,
        error=job.error,
        variant=job.variant,
    )


def _what(job: _Job) -> tuple[object, ...]:
    """What makes two runs of a model the same."""
    return job.kind, job.variant, job.asked


def _busy(job: _Job) -> WrongState:
    model, doing = job.model_type.value, "downloaded" if job.kind == "download" else "verified"
    return WrongState(
        f"{model} is being {doing}.",
        hint=f"Wait until that has ended, or cancel it with `POST /api/v1/models/download/{model}/cancel`.",
    )

"""The loop that claims tasks, hands them to a runner and records how they ended. Knows nothing of models or files."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from wan22.errors import (
    Cancelled,
    DiskFull,
    GenerationFailed,
    ModelCorrupt,
    ModelMissing,
    StoreError,
    Wan22Error,
    WrongState,
)
from wan22.orchestrator.party import Ended, RunResult
from wan22.queue.claim import Claim
from wan22.queue.queue import Queue
from wan22.tasks import Failure

logger = logging.getLogger(__name__)

IDLE_S = 5.0
"""How long an idle worker sleeps when nothing wakes it: a safety net, since every submit does."""

HEARTBEAT_S = 10.0
"""How often a run's lease is renewed."""

HALT_S = 0.2
"""How long a stop waits before it halts again: the store has a claim some moments before the worker does."""

PATIENCE_S = 2.0
"""How often `between` looks whether a task came first: looking for one takes milliseconds, running one minutes."""

Runner = Callable[[Sequence[Claim], Ended], None]
"""Carries out the claims, and tells of each how its run ended; what it raises ends those that are left."""

T = TypeVar("T")


def each(run: Callable[[Claim], RunResult]) -> Runner:
    """The runner that carries out one claim after the other."""

    def runner(claims: Sequence[Claim], ended: Ended) -> None:
        for claim in claims:
            ended(claim, run(claim))

    return runner


class Worker:
    """One worker for one device. `run` is the asyncio task; the work itself happens in a thread of its own."""

    def __init__(
        self,
        queue: Queue,
        runner: Runner,
        *,
        together: bool = False,
        warm_up: Callable[[], None] | None = None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        """`together`: the runner is given all tasks that may share a run, else one."""
        self._queue = queue
        self._runner = runner
        self._together = together
        self._warm_up = warm_up
        self._heartbeat_s = heartbeat_s
        self._device = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wan22-device")
        self._wake = asyncio.Event()
        self._is_warm = asyncio.Event()
        self._stopping = threading.Event()
        self._claims: tuple[Claim, ...] = ()  # that have not ended
        self._loop_task: asyncio.Task[None] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the loop is running."""
        return self._loop_task is not None and not self._loop_task.done()

    def start(self) -> None:
        """Begin to drain the queue; call it in the event loop."""
        loop = asyncio.get_running_loop()
        self._queue.on_work = partial(self._wake_up, loop)
        self._loop_task = asyncio.create_task(self._run(), name="wan22-worker")

    def _wake_up(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(self._wake.set)

    async def between(self, work: Callable[[], T]) -> T:
        """What `work` gives, run in the device's thread while no task is, after the warm-up and other such work.

        Raises WrongState where a task runs. What lasts asks `check` now and then.
        """
        if self._loop_task is not None:
            await self._is_warm.wait()
        if self._claims or self._stopping.is_set():
            raise _busy()
        future = self._device.submit(work)
        answer = asyncio.wrap_future(future)
        while not (await asyncio.wait({answer}, timeout=PATIENCE_S))[0]:
            if self._claims and future.cancel():  # a task was claimed in the meantime
                raise _busy()
        return await answer

    def check(self) -> None:
        """Raise Cancelled once the worker stops. From any thread."""
        if self._stopping.is_set():
            raise Cancelled("The server is stopping.", hint="Start it again, then ask again.")

    async def stop(self, grace_s: float) -> None:
        """Take no more tasks; a running one has `grace_s` seconds to end, then it goes back to the queue."""
        self._stopping.set()
        self._wake.set()
        if self._loop_task is None:
            return
        _, running = await asyncio.wait({self._loop_task}, timeout=grace_s)
        while running:
            for claim in self._claims:
                claim.halt()
            _, running = await asyncio.wait({self._loop_task}, timeout=HALT_S)  # a task may be claimed and not seen yet
        self._device.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        if self._warm_up:
            await self._warmed(loop, self._warm_up)
        self._is_warm.set()
        while not self._stopping.is_set():
            self._wake.clear()
            if not await self._work(loop):
                await self._idle()

    async def _work(self, loop: asyncio.AbstractEventLoop) -> bool:
        """`work_once` in the device's thread, with a heartbeat for as long as it lasts."""
        running = loop.run_in_executor(self._device, self.work_once)
        while not (await asyncio.wait({running}, timeout=self._heartbeat_s))[0]:
            for claim in self._claims:
                await asyncio.to_thread(self._beat, claim)
        return running.result()

    def _beat(self, claim: Claim) -> None:
        """Renew the lease; a run that has lost it is stopped, since nothing that it makes would be kept."""
        try:
            holds = self._queue.heartbeat(claim)
        except (StoreError, DiskFull) as error:  # the run goes on; the next heartbeat may get through
            task_id = claim.task.task_id
            logger.warning("A heartbeat failed: %s", error, extra={"action": "heartbeat_failed", "task_id": task_id})
            return
        if not holds:
            claim.halt()

    async def _warmed(self, loop: asyncio.AbstractEventLoop, warm_up: Callable[[], None]) -> None:
        """Return once `warm_up` is done, or at a stop, which does not wait for it: it may be seconds of imports."""
        is_done = threading.Event()

        def warm() -> None:
            try:
                warm_up()
            except Exception:  # the first task will meet the same, and tell it to whom it concerns
                logger.exception("The warm-up failed.", extra={"action": "warm_up_failed"})
            is_done.set()
            with contextlib.suppress(RuntimeError):  # the loop has ended, stopped in the meantime
                self._wake_up(loop)

        threading.Thread(target=warm, name="wan22-warm-up", daemon=True).start()
        while not (is_done.is_set() or self._stopping.is_set()):
            self._wake.clear()
            await self._idle()

    async def _idle(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), IDLE_S)
        except asyncio.TimeoutError:
            return

    def work_once(self) -> bool:
        """Claim what runs next and carry it out; False when there was nothing. Called in the device's thread.

        Nothing that goes wrong in here may end the loop.
        """
        try:
            self._claims = claims = self._next()
            if claims:
                self._carry_out(claims)
        except Exception:  # the worker must outlive whatever a store or a disk does to one task
            logger.exception("The worker could not record a task.", extra={"action": "worker_error"})
            return False
        finally:
            self._claims = ()
        return bool(claims)

    def _next(self) -> tuple[Claim, ...]:
        if self._together:
            return self._queue.claim_together()
        claim = self._queue.claim()
        return (claim,) if claim else ()

    def _carry_out(self, claims: Sequence[Claim]) -> None:
        """Record each end when it comes; one that can't be recorded must not keep the others from theirs."""
        unrecorded: list[Exception] = []

        def ended(claim: Claim, end: RunResult | Exception) -> None:
            self._claims = tuple(one for one in self._claims if one is not claim)
            try:
                self._record(claim, end)
            except Exception as error:  # noqa: BLE001 - raised below, once all have ended
                unrecorded.append(error)

        try:
            self._runner(claims, ended)
        except Exception as error:  # noqa: BLE001 - whatever a model run raises ends its tasks, not the server
            for claim in self._claims:
                ended(claim, error)
        if unrecorded:
            raise unrecorded[0]

    def _record(self, claim: Claim, end: RunResult | Exception) -> None:
        if isinstance(end, RunResult):
            self._queue.complete(claim, end.outputs, peak_vram_bytes=end.peak_vram_bytes)
        elif isinstance(end, Cancelled):
            self._give_up(claim)
        else:
            failure = _failure_of(end)
            trace = None if isinstance(end, (ModelMissing, ModelCorrupt)) else end  # files on disk are no mystery
            about = {"action": "task_failed", "task_id": claim.task.task_id}
            logger.error("The task failed: %s", failure.detail, exc_info=trace, extra=about)
            self._queue.fail(claim, failure)

    def _give_up(self, claim: Claim) -> None:
        if self._stopping.is_set() and not self._queue.cancel_requested(claim.task.task_id):
            self._queue.release(claim)
        else:
            self._queue.stop(claim)


def _busy() -> WrongState:
    return WrongState(
        "The device is in use by a task, or the server is stopping.",
        hint="Wait until the task has ended, or cancel it, then try again.",
    )


def _failure_of(error: Exception) -> Failure:
    unforeseen = GenerationFailed("The run ended with an unforeseen error.")
    return Failure.of(error if isinstance(error, Wan22Error) else unforeseen)

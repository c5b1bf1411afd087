"""The worker: runs what waits, records every kind of end, survives what a run raises, stops without losing a task."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from support.samples import plan, request

from wan22.errors import Cancelled, ModelCorrupt, OutOfMemory, StoreError, WrongState
from wan22.orchestrator.party import RunResult
from wan22.queue.claim import Claim
from wan22.queue.feed import Feed
from wan22.queue.queue import Queue
from wan22.settings import QueueSettings
from wan22.store import Store
from wan22.tasks import Phase, Status
from wan22.worker.worker import Worker, each

NOTHING = RunResult((), None)


@pytest.fixture
def queue() -> Iterator[Queue]:
    store = Store.open(None)
    yield Queue(store, Feed(store), QueueSettings())
    store.close()


def drain(queue: Queue, runner: Callable[[Claim], RunResult]) -> None:
    """Carry out all that waits, in this thread."""

    async def main() -> None:
        worker = Worker(queue, each(runner))
        while worker.work_once():
            pass

    asyncio.run(main())


def test_tasks_run_in_order_and_complete(queue: Queue) -> None:
    seen: list[str] = []

    def runner(claim: Claim) -> RunResult:
        seen.append(claim.task.task_id)
        return NOTHING

    ids = [queue.submit(request(), plan()).task_id for _ in range(3)]
    drain(queue, runner)
    assert seen == ids
    assert {queue.get(task_id).status for task_id in ids} == {Status.COMPLETED}


@pytest.mark.parametrize(
    ("error", "code"), [(OutOfMemory("too large"), "out_of_memory"), (ValueError("what?"), "generation_failed")]
)
def test_an_error_ends_its_task_and_not_the_worker(queue: Queue, error: Exception, code: str) -> None:
    def runner(claim: Claim) -> RunResult:
        if claim.task.task_id == first.task_id:
            raise error
        return NOTHING

    first, second = queue.submit(request(), plan()), queue.submit(request(), plan())
    drain(queue, runner)
    failed = queue.get(first.task_id)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error.code == code
    assert "what?" not in failed.error.detail, "an unforeseen error's words stay in the log"
    assert queue.get(second.task_id).status is Status.COMPLETED


@pytest.mark.parametrize(
    ("error", "traced"), [(ModelCorrupt("vae/a.safetensors is cut off."), False), (ValueError("what?"), True)]
)
def test_the_log_says_why_a_task_failed_with_the_trace_of_what_is_no_file_s_fault(
    queue: Queue, caplog: pytest.LogCaptureFixture, error: Exception, traced: bool
) -> None:
    def runner(_: Claim) -> RunResult:
        raise error

    task = queue.submit(request(), plan())
    drain(queue, runner)
    (said,) = [record for record in caplog.records if vars(record).get("action") == "task_failed"]
    failed = queue.get(task.task_id).error
    assert failed is not None
    assert failed.detail in said.getMessage()
    assert bool(said.exc_info and said.exc_info[1] is error) == traced


def until_told(claim: Claim) -> RunResult:
    """A run that goes on until its reporter says stop."""
    claim.reporter.phase(Phase.DENOISE)
    while True:
        claim.reporter.check()
        time.sleep(0.005)


async def eventually(is_so: Callable[[], bool]) -> None:
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to be")


def test_a_cancelled_run_ends_as_cancelled_and_the_next_one_starts(queue: Queue) -> None:
    async def main() -> None:
        worker = Worker(queue, each(until_told))
        worker.start()
        first, second = queue.submit(request(), plan()), queue.submit(request(), plan())
        await eventually(lambda: queue.get(first.task_id).status is Status.RUNNING)
        queue.cancel(first.task_id)
        await eventually(lambda: queue.get(second.task_id).status is Status.RUNNING)
        assert queue.get(first.task_id).status is Status.CANCELLED
        await worker.stop(grace_s=0)
        assert not worker.is_alive

    asyncio.run(main())


def test_a_stop_puts_the_running_task_back_without_an_attempt(queue: Queue) -> None:
    async def main() -> None:
        worker = Worker(queue, each(until_told))
        worker.start()
        task = queue.submit(request(), plan())
        await eventually(lambda: queue.get(task.task_id).status is Status.RUNNING)
        await worker.stop(grace_s=0)
        put_back = queue.get(task.task_id)
        assert (put_back.status, put_back.attempts) == (Status.QUEUED, 0)

    asyncio.run(main())


def test_a_stop_gives_a_short_task_the_time_to_end(queue: Queue) -> None:
    let_go = threading.Event()

    def runner(_: Claim) -> RunResult:
        let_go.wait()
        return NOTHING

    async def main() -> None:
        worker = Worker(queue, each(runner))
        worker.start()
        task = queue.submit(request(), plan())
        await eventually(lambda: queue.get(task.task_id).status is Status.RUNNING)
        asyncio.get_running_loop().call_later(0.05, let_go.set)
        await worker.stop(grace_s=30)
        assert queue.get(task.task_id).status is Status.COMPLETED

    asyncio.run(main())


def test_a_task_waits_for_the_warm_up(queue: Queue) -> None:
    order: list[str] = []

    def runner(_: Claim) -> RunResult:
        order.append("run")
        return NOTHING

    def warm_up() -> None:
        let_go.wait()
        order.append("warm")

    async def main() -> None:
        worker = Worker(queue, each(runner), warm_up=warm_up)
        worker.start()
        task = queue.submit(request(), plan())
        await asyncio.sleep(0.05)
        assert order == []
        let_go.set()
        await eventually(lambda: queue.get(task.task_id).status is Status.COMPLETED)
        await worker.stop(grace_s=1)

    let_go = threading.Event()
    asyncio.run(main())
    assert order == ["warm", "run"]


def test_a_stop_does_not_wait_for_the_warm_up(queue: Queue) -> None:
    let_go = threading.Event()

    async def main() -> None:
        worker = Worker(queue, each(lambda claim: NOTHING), warm_up=lambda: let_go.wait() and None)
        worker.start()
        task = queue.submit(request(), plan())
        await asyncio.sleep(0)
        await worker.stop(grace_s=30)
        assert not let_go.is_set()
        assert queue.get(task.task_id).status is Status.QUEUED

    asyncio.run(main())
    let_go.set()


def test_a_warm_up_that_fails_leaves_it_to_the_tasks_to_tell(queue: Queue) -> None:
    def warm_up() -> None:
        raise ImportError("no torch")

    async def main() -> None:
        worker = Worker(queue, each(lambda claim: NOTHING), warm_up=warm_up)
        worker.start()
        task = queue.submit(request(), plan())
        await eventually(lambda: queue.get(task.task_id).status is Status.COMPLETED)
        await worker.stop(grace_s=1)

    asyncio.run(main())


def test_a_submit_wakes_an_idle_worker(queue: Queue) -> None:
    async def main() -> None:
        worker = Worker(queue, each(lambda claim: NOTHING))
        worker.start()
        await asyncio.sleep(0.05)
        task = await asyncio.to_thread(queue.submit, request(), plan())
        await eventually(lambda: queue.get(task.task_id).status is Status.COMPLETED)
        await worker.stop(grace_s=1)

    asyncio.run(main())


class Beating(Queue):
    """A queue that counts heartbeats, and gives to each the answer that it is told to."""

    beats = 0
    answer: Callable[[], bool] | None = None

    def heartbeat(self, claim: Claim) -> bool:
        self.beats += 1
        return self.answer() if self.answer else super().heartbeat(claim)


@pytest.fixture
def beating() -> Iterator[Beating]:
    store = Store.open(None)
    yield Beating(store, Feed(store), QueueSettings())
    store.close()


def refused() -> bool:
    raise StoreError("The disk is asleep.")


@pytest.mark.parametrize("answer", [None, refused], ids=["renewed", "refused by the store"])
def test_a_heart_beats_while_a_run_goes_on_and_not_after(beating: Beating, answer: Callable[[], bool] | None) -> None:
    async def main() -> None:
        beating.answer = answer
        worker = Worker(beating, each(until_told), heartbeat_s=0.001)
        worker.start()
        await asyncio.sleep(0.02)
        assert beating.beats == 0
        task = beating.submit(request(), plan())
        await eventually(lambda: beating.beats >= 3)
        assert beating.get(task.task_id).status is Status.RUNNING
        await worker.stop(grace_s=0)

    asyncio.run(main())
    assert {task.status for task in beating.list().tasks} == {Status.QUEUED}


def test_a_run_that_has_lost_its_lease_is_stopped_and_the_next_one_starts(beating: Beating) -> None:
    async def main() -> None:
        worker = Worker(beating, each(until_told), heartbeat_s=0.001)
        worker.start()
        first = beating.submit(request(), plan())
        await eventually(lambda: beating.beats > 0)
        beating.answer = lambda: False
        await eventually(lambda: beating.get(first.task_id).status is not Status.RUNNING)
        beating.answer = None
        second = beating.submit(request(), plan())
        await eventually(lambda: beating.get(second.task_id).status is Status.RUNNING)
        await worker.stop(grace_s=0)

    asyncio.run(main())


def test_work_between_tasks_has_the_devices_thread(queue: Queue) -> None:
    async def main() -> str:
        worker = Worker(queue, each(until_told))
        worker.start()
        name = await worker.between(lambda: threading.current_thread().name)
        await worker.stop(0)
        return name

    assert asyncio.run(main()).startswith("wan22-device")


def test_while_a_task_runs_nothing_comes_between(queue: Queue) -> None:
    async def main() -> None:
        worker = Worker(queue, each(until_told))
        worker.start()
        task_id = queue.submit(request(), plan()).task_id
        await eventually(lambda: queue.get(task_id).status is Status.RUNNING)
        with pytest.raises(WrongState, match="in use by a task"):
            await worker.between(lambda: None)
        await worker.stop(0)
        with pytest.raises(WrongState):
            await worker.between(lambda: None)

    asyncio.run(main())


def test_work_between_tasks_waits_for_other_such_work(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wan22.worker.worker.PATIENCE_S", 0.01)
    let_go = threading.Event()

    async def main() -> list[str]:
        worker = Worker(queue, each(until_told))
        worker.start()
        first = asyncio.create_task(worker.between(lambda: let_go.wait() and "first"))
        second = asyncio.create_task(worker.between(lambda: "second"))
        await asyncio.sleep(0.1)  # many times the patience; the loop goes on meanwhile
        assert not first.done()
        assert not second.done()
        let_go.set()
        done = [await first, await second]
        await worker.stop(0)
        return done

    assert asyncio.run(main()) == ["first", "second"]


def test_work_between_tasks_waits_for_the_warm_up(queue: Queue) -> None:
    order: list[str] = []
    let_go = threading.Event()

    def warm_up() -> None:
        let_go.wait()
        order.append("warm")

    async def main() -> None:
        worker = Worker(queue, each(until_told), warm_up=warm_up)
        worker.start()
        work = asyncio.create_task(worker.between(lambda: order.append("work")))
        await asyncio.sleep(0.05)
        assert order == []
        let_go.set()
        await work
        await worker.stop(0)

    asyncio.run(main())
    assert order == ["warm", "work"]


def test_work_between_tasks_that_lasts_is_stopped_with_the_worker(queue: Queue) -> None:
    begun = threading.Event()

    async def main() -> None:
        worker = Worker(queue, each(until_told))

        def work() -> None:
            begun.set()
            while True:
                worker.check()
                time.sleep(0.005)

        worker.start()
        waiting = asyncio.create_task(worker.between(work))
        await asyncio.to_thread(begun.wait)
        await worker.stop(0)
        with pytest.raises(Cancelled, match="The server is stopping"):
            await waiting

    asyncio.run(main())

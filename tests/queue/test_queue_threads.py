"""Many threads at once: nothing is lost, nothing is run twice, nobody waits for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from queue_kit import House, opened
from support.samples import plan, request

from wan22.errors import Cancelled, QueueFull, WrongState
from wan22.queue import Feed, Queue
from wan22.queue.feed import Emit
from wan22.settings import QueueSettings
from wan22.store import Tables
from wan22.tasks import Status

T = TypeVar("T")


def drain(house: House) -> list[str]:
    """Claim and complete until nothing waits."""
    done = []
    while claim := house.queue.claim():
        done.append(claim.task.task_id)
        assert house.queue.complete(claim, [])
    return done


def test_what_many_submit_many_complete_once(tmp_path: Path) -> None:
    with opened(tmp_path / "wan22.db") as house, ThreadPoolExecutor(12) as pool:
        submitting = [pool.submit(house.submit) for _ in range(150)]
        draining = [pool.submit(drain, house) for _ in range(4)]
        submitted = [each.result().task_id for each in submitting]
        done = [task_id for each in draining for task_id in each.result()] + drain(house)
        assert sorted(done) == sorted(submitted)
        assert house.queue.counts()[Status.COMPLETED] == 150


def test_one_key_from_many_threads_is_one_task(house: House) -> None:
    with ThreadPoolExecutor(12) as pool:
        sent = [pool.submit(house.queue.submit, request(), plan(), idempotency_key="k") for _ in range(40)]
        assert len({each.result().task_id for each in sent}) == 1


def test_the_limit_holds_whoever_comes_at_once() -> None:
    with opened(max_queued=7) as house, ThreadPoolExecutor(12) as pool:
        sent = [pool.submit(house.submit) for _ in range(30)]
        refused = Counter(type(each.exception()) for each in sent)
        assert refused == {type(None): 7, QueueFull: 23}


def test_a_cancel_that_crosses_a_claim_is_never_lost(house: House) -> None:
    """Either the task is cancelled before it runs, or its run is told to stop."""

    def cancel(task_id: str) -> None:
        house.queue.cancel(task_id)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(60):
            task_id = house.submit().task_id
            cancelling, claiming = pool.submit(cancel, task_id), pool.submit(house.queue.claim)
            cancelling.result()
            if claim := claiming.result():
                try:
                    claim.reporter.check()
                except Cancelled:
                    assert house.queue.stop(claim)
            assert house.queue.get(task_id).status is Status.CANCELLED


class Interrupting(Feed):
    """A feed that lets somebody in right after a transaction, once."""

    then: Callable[[], object] | None = None

    def transact(self, work: Callable[[Tables, Emit], T], *, vital: bool = False) -> T:
        result = super().transact(work, vital=vital)
        then, self.then = self.then, None
        if then:
            then()
        return result


@pytest.mark.parametrize("verb", [Queue.cancel, Queue.delete])
def test_a_cancel_between_a_claim_and_its_answer_stops_the_run(
    house: House, verb: Callable[[Queue, str], object]
) -> None:
    feed = Interrupting(house.store)
    queue = Queue(house.store, feed, QueueSettings())
    task_id = queue.submit(request(), plan()).task_id
    feed.then = lambda: verb(queue, task_id)
    claim = queue.claim()
    assert claim
    with pytest.raises(Cancelled):
        claim.reporter.check()


def test_of_two_who_end_a_run_one_is_heard(house: House) -> None:
    with ThreadPoolExecutor(2) as pool:
        for _ in range(30):
            claim = house.running()
            ends = [pool.submit(house.queue.complete, claim, []), pool.submit(house.queue.stop, claim)]
            assert sorted(each.result() for each in ends) == [False, True]


def test_of_many_who_retry_each_gets_a_task(house: House) -> None:
    task_id = house.submit().task_id
    house.queue.cancel(task_id)
    with ThreadPoolExecutor(8) as pool:
        retried = {task.task_id for task in pool.map(lambda _: house.queue.retry(task_id), range(8))}
    assert len(retried) == 8


def test_of_many_who_cancel_a_waiting_task_one_does(house: House) -> None:
    task_id = house.submit().task_id
    with ThreadPoolExecutor(8) as pool:
        outcomes = [pool.submit(house.queue.cancel, task_id).exception() for _ in range(8)]
    assert Counter(map(type, outcomes)) == {type(None): 1, WrongState: 7}

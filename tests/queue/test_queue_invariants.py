"""Any sequence of verbs, restarts included, keeps the queue's promises; a small model says what must be true."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from queue_kit import Reader, opened
from support.samples import FAILURE, artifact

from wan22.errors import NotFound, WrongState
from wan22.queue import Claim
from wan22.tasks import EventType, Status, may_move

END_EVENTS = {
    EventType.TASK_COMPLETED: Status.COMPLETED,
    EventType.TASK_FAILED: Status.FAILED,
    EventType.TASK_CANCELLED: Status.CANCELLED,
}
picks = st.integers(0, 1_000)


@dataclass
class Known:
    """What the model knows of a task."""

    priority: int
    order: int
    status: Status = Status.QUEUED
    cancelling: bool = False
    runs: int = 0


class Promises(RuleBasedStateMachine):
    """The queue beside a dictionary of what it should hold."""

    @initialize()
    def open(self) -> None:
        self.context = opened(max_attempts=2)
        self.house = self.context.__enter__()
        self.tasks: dict[str, Known] = {}
        self.deleted: set[str] = set()
        self.claims: list[Claim] = []  # every claim ever given, however late
        self.current: dict[str, Claim] = {}
        self.orders = 0

    def pick(self, n: int) -> str:
        return sorted(self.tasks)[n % len(self.tasks)]

    def end(self, task_id: str, status: Status) -> None:
        self.tasks[task_id].status = status
        self.current.pop(task_id, None)

    def note(self, task_id: str, priority: int) -> None:
        self.orders += 1
        self.tasks[task_id] = Known(priority, self.orders)

    # What people do

    @rule(priority=st.integers(-1, 1))
    def submit(self, priority: int) -> None:
        self.note(self.house.submit(priority=priority).task_id, priority)

    @precondition(lambda self: self.tasks)
    @rule(n=picks)
    def cancel(self, n: int) -> None:
        task_id = self.pick(n)
        known = self.tasks[task_id]
        try:
            self.house.queue.cancel(task_id)
        except WrongState:
            assert known.status.is_terminal
            return
        if known.status is Status.QUEUED:
            self.end(task_id, Status.CANCELLED)
        else:
            assert known.status is Status.RUNNING
            known.cancelling = True

    @precondition(lambda self: self.tasks)
    @rule(n=picks)
    def retry(self, n: int) -> None:
        known = self.tasks[self.pick(n)]
        try:
            new = self.house.queue.retry(self.pick(n))
        except WrongState:
            assert known.status not in (Status.FAILED, Status.CANCELLED)
            return
        self.note(new.task_id, known.priority)

    @precondition(lambda self: self.tasks)
    @rule(n=picks)
    def delete(self, n: int) -> None:
        task_id = self.pick(n)
        self.house.queue.delete(task_id)
        del self.tasks[task_id]
        self.current.pop(task_id, None)
        self.deleted.add(task_id)

    # What workers do, late ones too

    @rule()
    def claim(self) -> None:
        waiting = [
            (-known.priority, known.order, i) for i, known in self.tasks.items() if known.status is Status.QUEUED
        ]
        claim = self.house.queue.claim()
        if claim is None:
            assert not waiting
            return
        task_id = claim.task.task_id
        assert task_id == min(waiting)[2]
        assert task_id not in self.current
        self.tasks[task_id].status = Status.RUNNING
        self.tasks[task_id].runs += 1
        self.current[task_id] = claim
        self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(n=picks, how=st.sampled_from(["complete", "fail", "stop", "release"]))
    def finish(self, n: int, how: str) -> None:
        claim = self.claims[n % len(self.claims)]
        task_id, queue = claim.task.task_id, self.house.queue
        given = {"complete": ([artifact()],), "fail": (FAILURE,)}.get(how, ())
        counted = getattr(queue, how)(claim, *given)
        assert counted == (self.current.get(task_id) is claim)
        if not counted:
            return
        known = self.tasks[task_id]
        ends = {"complete": Status.COMPLETED, "fail": Status.FAILED, "stop": Status.CANCELLED}
        if how != "release" or known.cancelling:
            self.end(task_id, ends.get(how, Status.CANCELLED))
        else:
            self.end(task_id, Status.QUEUED)
            known.runs -= 1

    @rule()
    def crash(self) -> None:
        """The server dies and starts again."""
        self.house.start()
        for task_id in list(self.current):
            known = self.tasks[task_id]
            if known.cancelling:
                self.end(task_id, Status.CANCELLED)
            else:
                self.end(task_id, Status.FAILED if known.runs >= 2 else Status.QUEUED)

    # What is always true

    @invariant()
    def every_task_is_where_the_model_says(self) -> None:
        found = {task.task_id: task for task in self.house.queue.list(limit=100).tasks}
        assert {task_id: task.status for task_id, task in found.items()} == {
            task_id: known.status for task_id, known in self.tasks.items()
        }
        assert all(found[task_id].attempts == known.runs for task_id, known in self.tasks.items())
        assert all(found[task_id].fence == claim.fence for task_id, claim in self.current.items())

    @invariant()
    def events_tell_each_life_and_every_step_is_allowed(self) -> None:
        lives: dict[str, list[Status]] = {}
        for event in self.house.stored_events():
            assert event.task_id
            lives.setdefault(event.task_id, []).append(Status(event.data["status"]))
            assert END_EVENTS.get(event.type, lives[event.task_id][-1]) is lives[event.task_id][-1]
        for task_id, known in self.tasks.items():
            life = lives[task_id]
            assert life[0] is Status.QUEUED
            assert life[-1] is known.status
            assert all(may_move(before, after) for before, after in pairwise(life))
        for task_id in self.deleted & lives.keys():
            assert lives[task_id] == [Status.CANCELLED]

    @invariant()
    def counts_and_positions_agree(self) -> None:
        waiting = [task_id for task_id, known in self.tasks.items() if known.status is Status.QUEUED]
        assert self.house.queue.counts()[Status.QUEUED] == len(waiting)
        positions = {task_id: self.house.queue.position(task_id) for task_id in self.tasks}
        assert sorted(filter(None, positions.values())) == list(range(1, len(waiting) + 1))
        assert all((positions[task_id] is not None) == (task_id in waiting) for task_id in self.tasks)

    def teardown(self) -> None:
        if not hasattr(self, "context"):
            return
        for task_id in self.deleted:
            try:
                self.house.queue.get(task_id)
            except NotFound:
                continue
            raise AssertionError("a deleted task came back")
        self.context.__exit__(None, None, None)


TestPromises = Promises.TestCase
TestPromises.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_reader_from_the_start_sees_what_is_stored() -> None:
    with opened(ring=2) as house:
        for _ in range(3):
            house.queue.complete(house.running(), [])
        assert Reader(house.feed, after=0).take_all() == house.stored_events()

"""Whatever is published, by whoever, and however often readers come and go: no gap, no duplicate, no disorder."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from queue_kit import Reader, opened

from wan22.queue import Feed
from wan22.tasks import Event, EventType

TASKS = st.sampled_from(["a", "b", None])
DURABLE, PROGRESS = EventType.TASK_STARTED, EventType.TASK_PROGRESS


def durable(events: Iterable[Event], task_id: str | None) -> list[Event]:
    """Those that a reader of this task, or of all, must get."""
    return [event for event in events if event.type.is_durable and task_id in (None, event.task_id)]


class Readers(RuleBasedStateMachine):
    """A feed with a ring of three, restarted now and then, and readers that take when they like and may come back."""

    readers = Bundle("readers")

    @initialize(ring=st.integers(1, 4))
    def open(self, ring: int) -> None:
        self.context = opened(ring=ring)
        self.house = self.context.__enter__()
        self.sent: list[Event] = []
        self.got: dict[int, list[Event]] = {}
        self.expected_from: dict[int, int] = {}

    @rule(task_id=TASKS, n=st.integers(1, 4))
    def publish(self, task_id: str | None, n: int) -> None:
        self.sent += self.house.feed.transact(lambda _, emit: [emit(DURABLE, task_id, {}) for _ in range(n)])

    @rule(task_id=st.sampled_from(["a", "b"]))
    def progress(self, task_id: str) -> None:
        self.house.feed.publish(PROGRESS, task_id, {})

    @rule()
    def fail(self) -> None:
        def work(_: object, emit: object) -> None:
            emit(DURABLE, "a", {})  # type: ignore[operator]  # the feed's own
            raise ZeroDivisionError

        try:
            self.house.feed.transact(work)
        except ZeroDivisionError:
            return

    @rule(target=readers, task_id=TASKS, back=st.none() | st.integers(0, 12))
    def subscribe(self, task_id: str | None, back: int | None) -> Reader:
        """From now on, or from some events back."""
        after = None
        if back is not None:
            after = self.sent[-back - 1].id if back < len(self.sent) else 0
        reader = Reader(self.house.feed, task_id=task_id, after=after)
        self.got[id(reader)] = []
        self.expected_from[id(reader)] = len(self.sent) if back is None else max(0, len(self.sent) - back)
        return reader

    @rule(reader=readers)
    def take(self, reader: Reader) -> None:
        self.got[id(reader)] += reader.take()

    @rule(reader=readers)
    def come_back(self, reader: Reader) -> None:
        """As a client that lost its connection: from the last id it saw, whatever kind of event that was."""
        if got := self.got[id(reader)]:
            reader.feed, reader.after = self.house.feed, got[-1].id
            reader.__post_init__()

    @invariant()
    def nothing_is_missing_doubled_or_out_of_order(self) -> None:
        for reader_id, got in getattr(self, "got", {}).items():
            ids = [event.id for event in got]
            assert ids == sorted(set(ids))
            assert reader_id in self.expected_from

    @rule(reader=readers)
    def read_to_the_end(self, reader: Reader) -> None:
        got = self.got[id(reader)]
        got += reader.take_all()
        expected = durable(self.sent[self.expected_from[id(reader)] :], reader.task_id)
        assert durable(got, None) == expected

    def teardown(self) -> None:
        if hasattr(self, "context"):
            self.context.__exit__(None, None, None)


TestReaders = Readers.TestCase
TestReaders.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


def publish_many(feed: Feed, name: str) -> list[Event]:
    """Thirty changes with progress between them."""
    events = []
    for n in range(30):
        events.append(feed.publish(DURABLE, name, {"n": n}))
        feed.publish(PROGRESS, name, {"n": n})
    return events


def test_readers_beside_many_publishers_miss_nothing() -> None:
    """Each reader takes whenever it is called, in its own thread, while six threads publish."""
    with opened(ring=16) as house, ThreadPoolExecutor(10) as pool:
        done = threading.Event()

        def read() -> list[Event]:
            ready = threading.Event()
            subscription = house.feed.subscribe(after=0, on_ready=ready.set)
            got: list[Event] = []
            while not (done.is_set() and not ready.is_set()):
                ready.wait(0.05)
                ready.clear()
                got += subscription.take()
            return got + subscription.take()

        reading = [pool.submit(read) for _ in range(4)]
        publishing = [pool.submit(publish_many, house.feed, f"task {n}") for n in range(6)]
        sent = sorted((event for each in publishing for event in each.result()), key=lambda event: event.id)
        done.set()
        for each in reading:
            got = each.result()
            assert durable(got, None) == sent
            assert [event.id for event in got] == sorted({event.id for event in got})

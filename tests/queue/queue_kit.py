"""What the tests of this room share: a queue over a real store, clocks that tests set, and reading a feed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from support.samples import NOON, plan, request

from wan22.queue import Claim, Feed, Queue, Subscription
from wan22.settings import QueueSettings
from wan22.store import Store
from wan22.tasks import Event, Phase, Task


@dataclass
class WallClock:
    """A clock on the wall that stands still until it is moved."""

    at: datetime = NOON

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **time: float) -> None:
        """Let that much time go by, or come back."""
        self.at += timedelta(**time)


@dataclass
class StopWatch:
    """A monotonic clock that goes on only when told to."""

    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class House:
    """A store with its feed and queue, as the runtime builds them."""

    store: Store
    max_queued: int = 1_000
    max_attempts: int = 2
    ring: int = 2_000
    clock: WallClock = field(default_factory=WallClock)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> int:
        """Start the server (again): a new boot over the same store. Gives what `recover` gave."""
        self.feed = Feed(self.store, ring=self.ring)
        settings = QueueSettings(max_queued=self.max_queued, max_attempts=self.max_attempts)
        self.queue = Queue(self.store, self.feed, settings, now=self.clock)
        return self.queue.recover()

    def submit(self, **changes: Any) -> Task:
        """Accept a task whose request has these fields changed."""
        return self.queue.submit(request(**changes), plan())

    def claim(self) -> Claim:
        """Claim the next task; there must be one."""
        claim = self.queue.claim()
        assert claim, "nothing waits"
        return claim

    def running(self, **changes: Any) -> Claim:
        """Accept a task and claim it."""
        self.submit(**changes)
        return self.claim()

    def stored_events(self) -> list[Event]:
        """Every durable event."""
        return self.store.read(lambda tables: tables.events.between(0, 2**62, limit=1_000_000))


@contextmanager
def opened(path: Path | None = None, **settings: Any) -> Iterator[House]:
    """A house over the store at `path`, or in memory."""
    store = Store.open(path)
    try:
        yield House(store, **settings)
    finally:
        store.close()


@dataclass
class Reader:
    """A subscriber that takes only when told to, and knows how often it was called."""

    feed: Feed
    task_id: str | None = None
    after: int | None = None
    calls: int = 0

    def __post_init__(self) -> None:
        self.subscription: Subscription = self.feed.subscribe(
            task_id=self.task_id, after=self.after, on_ready=self._called
        )

    def _called(self) -> None:
        self.calls += 1

    def take(self) -> list[Event]:
        """What one call gives."""
        return self.subscription.take()

    def take_all(self) -> list[Event]:
        """What all calls give until there is nothing more."""
        taken = []
        while some := self.take():
            taken += some
        return taken

    def types(self) -> list[str]:
        """The types of all there is, without the dull half of their names."""
        return [event.type.value.removeprefix("task.") for event in self.take_all()]


def run_through(claim: Claim, watch: StopWatch | None = None, *, seconds: float = 0.0, steps: int = 4) -> None:
    """Report what a run of one output reports; on a stop watch each phase but denoising takes a second."""
    reporter = claim.reporter
    for phase in (Phase.LOADING, Phase.TEXT_ENCODE, Phase.DENOISE, Phase.DECODE, Phase.ENCODE):
        reporter.phase(phase)
        if phase is Phase.DENOISE:
            for step in range(1, steps + 1):
                if watch:
                    watch.seconds += seconds / steps
                reporter.progress(step / steps, step=step, total_steps=steps)
        elif watch:
            watch.seconds += 1.0
        reporter.progress(1.0)

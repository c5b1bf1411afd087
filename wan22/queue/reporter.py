"""The reporter of one run: times its phases, keeps its live values, tells the feed, and says when to stop.

Nothing here is written to the database; what the run leaves behind is merged into its record by the queue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from wan22.errors import Cancelled
from wan22.queue import messages
from wan22.queue.eta import remaining_s
from wan22.queue.feed import Feed
from wan22.queue.progress import overall
from wan22.tasks import Phase, Task, Timings

PUBLISH_EVERY_S = 0.05  # a bar moves smoothly at 20 a second


@dataclass(frozen=True)
class Live:
    """Where a run stands. Seconds are of the run's own clock, 0 at the claim."""

    phase: Phase | None = None
    phase_since: float = 0.0
    spent: tuple[tuple[Phase, float], ...] = ()  # seconds in the phases that are over
    output: int = 0
    outputs: int = 1
    progress: float = 0.0
    step: int | None = None
    total_steps: int | None = None
    denoising_since: float = 0.0
    denoising_from: float | None = None  # progress when the first denoising began

    def seconds(self, now: float) -> dict[Phase, float]:
        """Time in each phase so far, the current one included."""
        so_far = dict(self.spent)
        if self.phase is not None:
            so_far[self.phase] = so_far.get(self.phase, 0.0) + now - self.phase_since
        return so_far


class RunReporter:
    """`tasks.Reporter` for one claim. The run's threads write, any thread reads: values are replaced whole."""

    def __init__(
        self, task: Task, feed: Feed, *, expected_s: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._task = task
        self._feed = feed
        self._expected_s = expected_s
        self._clock = clock
        self._start = clock()
        self._live = Live()
        self._writing = threading.Lock()
        self._published_at = -PUBLISH_EVERY_S
        self._stop = threading.Event()
        self._closed = threading.Event()

    # For the run

    def check(self) -> None:
        """Raise `Cancelled` once the run is to stop."""
        if self._stop.is_set():
            raise Cancelled("The run was asked to stop.")

    def output(self, index: int, count: int) -> None:
        """The next denoise, decode and encode belong to the output of that index, from 0, of `count`."""
        self._change(output=index, outputs=count)

    def phase(self, phase: Phase) -> None:
        """The named phase begins; the time of one that comes again adds up."""
        with self._writing:
            live, now = self._live, self._now()
            spent = tuple(live.seconds(now).items())
            begun = self._further(replace(live, phase=phase, phase_since=now, spent=spent), 0.0)
            if phase is Phase.DENOISE and begun.denoising_from is None:
                begun = replace(begun, denoising_since=now, denoising_from=begun.progress)
            self._live = begun
        self._publish()

    def progress(self, fraction: float, *, step: int | None = None, total_steps: int | None = None) -> None:
        """The current phase has come to `fraction`; `step` and `total_steps` are those of the current output."""
        with self._writing:
            live = self._live
            if step is not None and total_steps is not None:
                done = live.output * total_steps + step
                live = replace(live, step=done, total_steps=live.outputs * total_steps)
            self._live = self._further(live, min(max(fraction, 0.0), 1.0))
        if fraction >= 1 or self._now() - self._published_at >= PUBLISH_EVERY_S:
            self._publish()

    def preview(self, jpeg: bytes, *, width: int, height: int) -> None:
        """Show how the latents look now."""
        if not self._closed.is_set():
            self._feed.publish(*messages.previewed(self._task, jpeg, width=width, height=height))

    # For the queue

    def stop(self) -> None:
        """Make `check` raise from now on."""
        self._stop.set()

    def close(self) -> None:
        """Publish nothing more: the run's task has moved on."""
        self._closed.set()

    def merge(self, task: Task) -> Task:
        """The record with the run's live values in it."""
        live, now = self._live, self._now()
        spent = {f"{phase.value}_s": seconds for phase, seconds in live.seconds(now).items()}
        waited = (self._task.started_at or self._task.created_at) - self._task.created_at
        timings = Timings(queued_s=max(0.0, waited.total_seconds()), total_s=now, **spent)
        return task.with_(
            phase=live.phase, progress=live.progress, step=live.step, total_steps=live.total_steps, timings=timings
        )

    def eta_s(self) -> float | None:
        """Seconds until the run ends, as far as that can be known."""
        live = self._live
        begun_at = live.progress if live.denoising_from is None else live.denoising_from
        run_s = self._now() - live.denoising_since
        return remaining_s(live.progress, run_s=run_s, begun_at=begun_at, expected_s=self._expected_s)

    def _now(self) -> float:
        return self._clock() - self._start

    def _change(self, **changes: Any) -> None:
        with self._writing:
            self._live = replace(self._live, **changes)

    def _further(self, live: Live, fraction: float) -> Live:
        if live.phase is None:
            return live
        reached = overall(live.phase, fraction, output=live.output, outputs=live.outputs)
        return replace(live, progress=max(live.progress, reached))

    def _publish(self) -> None:
        self._published_at = self._now()
        if not self._closed.is_set():
            self._feed.publish(*messages.progressed(self.merge(self._task), eta_s=self.eta_s()))

"""The reporter of one run: times its phases, keeps its live values, tells the feed, and says when to stop.

Nothing here is written to the database; what the run leaves behind is merged into its record by the queue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from wan22.errors import Cancelled
from wan22.queue import messages
from wan22.queue.feed import Feed
from wan22.queue.live import Live
from wan22.queue.remaining import remaining_s
from wan22.tasks import Parts, Passes, Phase, Task, Timings

PUBLISH_EVERY_S = 0.05  # a bar moves smoothly at 20 a second


class RunReporter:
    """`tasks.Reporter` for one claim. The run's threads write, any thread reads: values are replaced whole.

    `learned` is how long the parts of such a task take, where that is known.
    """

    def __init__(
        self, task: Task, feed: Feed, *, learned: Parts | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._task = task
        self._feed = feed
        self._learned = learned
        self._clock = clock
        self._start = clock()
        self._live = Live(outputs=task.request.num_videos)
        self._writing = threading.Lock()
        self._published_at = -PUBLISH_EVERY_S
        self._stop = threading.Event()
        self._closed = threading.Event()

    # For the run

    def check(self) -> None:
        """Raise `Cancelled` once the run is to stop."""
        if self._stop.is_set():
            raise Cancelled("The run was asked to stop.")

    def output(self, index: int, count: int, *, at_once: int = 1) -> None:
        """The next denoise, decode and encode belong to the output of that index, from 0, of `count`.

        `at_once`: the denoising is of so many, this one the first.
        """
        with self._writing:
            self._live = replace(self._live, output=index, outputs=count, at_once=at_once)

    def share(self, tasks: int, *, place: int) -> None:
        """The denoising is of so many tasks together, `place` of which are decoded before this one."""
        with self._writing:
            self._live = replace(self._live, tasks=tasks, place=place)

    def wait(self) -> None:
        """The current phase is over; the next one begins when other tasks are through theirs."""
        with self._writing:
            self._live = self._live.over(self._now())

    def phase(self, phase: Phase) -> None:
        """The named phase begins; the time of one that comes again adds up."""
        with self._writing:
            self._live = self._live.begun(phase, self._now())
        self._publish()

    def progress(self, fraction: float, *, step: int | None = None, total_steps: int | None = None) -> None:
        """The current phase has come to `fraction`; `step` and `total_steps` are those of the current output."""
        with self._writing:
            live = self._live
            if step is not None and total_steps is not None:
                done = live.batch_begin * total_steps + live.batch_size * step
                live = replace(live, step=done, total_steps=live.outputs * total_steps)
            self._live = live.come_to(fraction, self._now())
        if fraction >= 1 or self._now() - self._published_at >= PUBLISH_EVERY_S:
            self._publish()

    def fell_back(self, said: str) -> None:
        """Memory ran out, and the run begins again with less."""
        with self._writing:
            self._live = replace(self._live, fallbacks=(*self._live.fallbacks, said))

    def passed(self, passes: Passes) -> None:
        """What the step cache has spared, of all outputs."""
        with self._writing:
            self._live = replace(self._live, passes=passes)

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
        timings = Timings(queued_s=max(0.0, waited.total_seconds()), total_s=now, denoised_together=live.tasks, **spent)
        return task.with_(
            phase=live.phase,
            progress=live.progress,
            step=live.step,
            total_steps=live.total_steps,
            fallbacks=live.fallbacks,
            passes=live.passes,
            timings=timings,
        )

    def eta_s(self) -> float | None:
        """Seconds until the run ends, as far as that can be known."""
        return remaining_s(self._live, self._now(), self._learned)

    def _now(self) -> float:
        return self._clock() - self._start

    def _publish(self) -> None:
        self._published_at = self._now()
        if not self._closed.is_set():
            self._feed.publish(*messages.progressed(self.merge(self._task), eta_s=self.eta_s()))

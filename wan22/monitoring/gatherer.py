"""Gathers the facts that alerts are judged by. Asks the disk and the store no more often than they can have changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone

from wan22.hardware.probe import os_name
from wan22.models.shelf import VariantReport
from wan22.models.variants import Models
from wan22.monitoring.facts import Facts
from wan22.monitoring.monitor import Monitor
from wan22.monitoring.rules import SILENT_S
from wan22.queue.queue import Queue
from wan22.tasks import ModelType, Run, Status, Task

READINGS = 60  # a minute of them
LOOK_AT_WEIGHTS_S = 60.0
FEWEST_STEPS = 4
"""Of each video of a run that goes on, before its speed counts: those that have begun are taken as done, and of fewer
steps that would flatter."""
MOST_TOGETHER = 100  # tasks that run at once, far more than ever do


class Gatherer:
    """Of one server, for one thread. `clock` is never set."""

    def __init__(
        self, monitor: Monitor, queue: Queue, models: Models, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._monitor = monitor
        self._queue = queue
        self._models = models
        self._clock = clock
        self._begun_s = clock()
        self._system = os_name()
        self._runs: Mapping[ModelType, tuple[Run, ...]] = {}
        self._runs_of: tuple[int, int] | None = None  # how many tasks had ended when they were read
        self._reports: Mapping[ModelType, VariantReport] = {}
        self._looked_s: float | None = None

    def gather(self) -> Facts:
        """As it is now. Raises StoreError."""
        clock_s, age_s = self._clock(), self._monitor.sampler.age_s
        age_s = clock_s - self._begun_s if age_s is None else age_s
        return Facts(
            at=datetime.now(timezone.utc),
            clock_s=clock_s,
            readings=self._monitor.history.recent()[-READINGS:] if age_s < SILENT_S else (),
            sampler_age_s=age_s,
            runs=self._all_runs(),
            models=self._models_of(clock_s),
            system=self._system,
        )

    def _all_runs(self) -> dict[ModelType, tuple[Run, ...]]:
        counts = self._queue.counts()
        ended = counts[Status.COMPLETED], counts[Status.FAILED]
        if ended != self._runs_of:
            self._runs = {model_type: self._queue.history(model_type) for model_type in ModelType}
            self._runs_of = ended
        going = tuple(self._going()) if counts[Status.RUNNING] else ()
        return {
            model_type: (*(run for of, run in going if of is model_type), *runs)
            for model_type, runs in self._runs.items()
        }

    def _going(self) -> Iterator[tuple[ModelType, Run]]:
        for task in self._queue.list(status=Status.RUNNING, limit=MOST_TOGETHER).tasks:
            yield task.request.model_type, _so_far(task)

    def _models_of(self, clock_s: float) -> Mapping[ModelType, VariantReport]:
        if self._looked_s is None or clock_s - self._looked_s >= LOOK_AT_WEIGHTS_S:
            self._reports = {model_type: self._models.describe(model_type) for model_type in ModelType}
            self._looked_s = clock_s
        return self._reports


def _so_far(task: Task) -> Run:
    """A run that goes on, with the steps that it has begun."""
    request, plan, step = task.request, task.plan, task.step or 0
    videos = request.num_videos
    return Run(
        task_id=task.task_id,
        status=task.status,
        variant=plan.variant,
        device=plan.device,
        mode=request.mode,
        width=request.width,
        height=request.height,
        num_frames=request.num_frames,
        num_videos=videos,
        guidance_scale=request.guidance_scale,
        total_steps=step + videos if step >= FEWEST_STEPS * videos else None,
        tasks=task.timings.denoised_together,
        denoise_s=task.timings.denoise_s,
        total_s=None,
        peak_vram_bytes=None,
        finished_at=None,
        precision=plan.precision.get("transformer"),
        offload=plan.offload,
        step_cache=plan.step_cache is not None,
    )

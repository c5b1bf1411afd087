"""How long tasks take: learns it from completed runs, foretells it for waiting and running ones. No clock, no store."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from wan22.tasks import Plan, Request, Task

NEWEST_SHARE = 0.3  # of the last run in what is known: a new driver or a busy machine shows after some runs
FAR_ENOUGH = 0.05  # of a task, seen since its denoising began: then it foretells itself better than others can


def pace_of(request: Request, plan: Plan) -> str:
    """Names the tasks that need the same seconds for a unit of work: one model's weights on one device."""
    return f"{request.model_type.value}/{plan.variant}/{plan.device}"


def work_of(request: Request, plan: Plan) -> float:
    """Units of work in all outputs: steps x passes x rendered pixels x rendered frames.

    Guidance over 1 takes a second pass through the transformer in each step; of two experts the mean counts, since
    where one hands over to the other depends on the schedule. With `strength` only that share of the steps is run.
    """
    scales = [scale for scale in (request.guidance_scale, request.guidance_scale_2) if scale is not None]
    passes = sum(2 if scale > 1 else 1 for scale in scales) / len(scales)
    steps = max(1.0, request.steps * (1.0 if request.strength is None else request.strength))
    render = plan.render
    return request.num_videos * steps * passes * render.width * render.height * render.num_frames


class Pace:
    """Seconds per unit of work, for each pace that has been seen; a moving average. Thread safe."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    def learn(self, task: Task) -> None:
        """From a completed task; its loading does not count, since most tasks find the weights in memory."""
        if task.timings.total_s is None:
            return
        seconds = task.timings.total_s - (task.timings.loading_s or 0.0)
        pace, unit_s = pace_of(task.request, task.plan), seconds / work_of(task.request, task.plan)
        with self._lock:
            known = self._seconds.get(pace, unit_s)
            self._seconds[pace] = known + NEWEST_SHARE * (unit_s - known)

    def seconds_for(self, work: Mapping[str, float]) -> float | None:
        """Seconds that work of several paces takes, one after the other; None if one of them has never been seen."""
        with self._lock:
            if not work.keys() <= self._seconds.keys():
                return None
            return sum(self._seconds[pace] * units for pace, units in work.items())


def remaining_s(progress: float, *, run_s: float, begun_at: float, expected_s: float | None) -> float | None:
    """Seconds until a running task ends.

    `run_s` is how long it has been denoising, and `begun_at` where its progress then stood. Where that has not brought
    it far enough, `expected_s`, the learned length of the whole, is scaled; None if that is not known either.
    """
    gained = progress - begun_at
    if gained >= FAR_ENOUGH:
        return (1 - progress) * run_s / gained
    return None if expected_s is None else (1 - progress) * expected_s

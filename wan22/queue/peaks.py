"""How far the counted GPU memory of plans is from what their runs needed. No clock, no store."""

from __future__ import annotations

import threading
from collections import deque

from wan22.models.needs import CONTEXT_BYTES
from wan22.tasks import Plan, Status, Task

KEPT = 8
"""Runs that are remembered of each kind; the worst of them counts, for too little memory ends a run."""

OTHERS_UNLOADED = "All other models were unloaded."
"""The fallback that says nothing of the run's own needs."""

FEWER_AT_ONCE = "Fewer videos were denoised at once"
"""How the fallback begins that speaks of several runs together."""

_MISSED = 1.25  # what ran out of memory needed more than was planned, by no one knows how much
_LEAST, _MOST = 0.8, 3.0  # beyond which it is no miss of the count


class Peaks:
    """Learns from ended tasks what to correct later predictions by. Thread safe."""

    def __init__(self) -> None:
        self._ratios: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def learn(self, task: Task) -> None:
        """From a task that completed or ran out of memory; nothing from one whose plan predicted nothing."""
        ratio = _ratio(task)
        if ratio is not None:
            with self._lock:
                self._ratios.setdefault(_kind(task.plan), deque(maxlen=KEPT)).append(ratio)

    def correction(self, plan: Plan) -> float:
        """By which the counted bytes of such a plan are to be multiplied; 1 where nothing has run."""
        with self._lock:
            return max(self._ratios.get(_kind(plan), ()), default=1.0)


def _kind(plan: Plan) -> str:
    """Plans of one kind miss alike: the same weights, in the same way on one device."""
    return f"{plan.model_files}/{plan.device}/{plan.offload}"


def _ratio(task: Task) -> float | None:
    """Needed by counted."""
    plan = task.plan
    if not plan.predicted_peak_vram_bytes or task.timings.denoised_together > 1:  # that needs more than was predicted
        return None
    if _ran_out(task):
        return min(_MOST, _MISSED * plan.vram_correction)
    if task.status is not Status.COMPLETED or not task.peak_vram_bytes:
        return None
    counted = plan.predicted_peak_vram_bytes / plan.vram_correction
    return min(
        _MOST, max(_LEAST, (task.peak_vram_bytes + CONTEXT_BYTES) / counted)
    )  # torch measures without the context


def _ran_out(task: Task) -> bool:
    """Whether the plan as it was made needed more memory than there was."""
    if task.status is Status.FAILED:
        return task.error is not None and task.error.code == "out_of_memory"
    return any(said != OTHERS_UNLOADED and not said.startswith(FEWER_AT_ONCE) for said in task.fallbacks)

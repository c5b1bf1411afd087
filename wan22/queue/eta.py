"""How long tasks take: learns it part by part from completed runs, foretells it for waiting ones. No clock, no store.

What is left of a run that goes on is `remaining`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from wan22.tasks import Parts, Plan, Request, Task, Timings

NEWEST_SHARE = 0.3  # of the last run in what is known, at most: a new driver or a busy machine shows after some runs


def pace_of(request: Request, plan: Plan) -> str:
    """Names the tasks that need the same seconds for a unit of work: one model's weights on one device."""
    step_cache = "/step-cache" if plan.step_cache else ""
    return f"{request.model_type.value}/{plan.variant}/{plan.device}{step_cache}"


def work_of(request: Request, plan: Plan) -> Parts:
    """What all outputs of a task need, in the units of `Parts`."""
    render = plan.render
    rendered = float(request.num_videos * render.width * render.height * render.num_frames)
    delivered = float(request.num_videos * render.output_width * render.output_height * len(render.keep))
    return Parts(
        denoise=request.steps_taken * request.passes_a_step * rendered, decode=rendered, encode=delivered, rest=1.0
    )


def seconds_of(timings: Timings) -> Parts | None:
    """How long the parts of a completed run took; None where that was not measured.

    Loading is in none of them, since most tasks find the weights in memory.
    """
    total, denoise, decode, encode = timings.total_s, timings.denoise_s, timings.decode_s, timings.encode_s
    if total is None or denoise is None or decode is None or encode is None:
        return None
    rest = total - (timings.loading_s or 0.0) - denoise - decode - encode
    return Parts(denoise, decode, encode, max(0.0, rest))


@dataclass(frozen=True)
class Seen:
    """Work of one part that has been seen, and the seconds it took."""

    work: float = 0.0
    seconds: float = 0.0

    def and_(self, work: float, seconds: float) -> Seen:
        """With one run more, in whose place as much older work is forgotten: a tiny run teaches no more than it did."""
        kept = 1 - min(NEWEST_SHARE, work / self.work) if self.work else 0.0
        return Seen(kept * self.work + work, kept * self.seconds + seconds)

    def seconds_for(self, work: float) -> float:
        """Seconds that so much work would take."""
        return self.seconds * work / self.work if self.work else 0.0


class Pace:
    """Seconds per unit of work of each part, for each pace that has been seen. Thread safe."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Seen, ...]] = {}
        self._lock = threading.Lock()

    def learn(self, task: Task) -> None:
        """From a completed task; nothing from one whose timings have gaps, or that was begun again."""
        seconds = seconds_of(task.timings)
        if seconds is None or task.fallbacks:
            return
        pace, work = pace_of(task.request, task.plan), work_of(task.request, task.plan)
        with self._lock:
            known = self._seen.get(pace, (Seen(),) * len(work))
            self._seen[pace] = tuple(seen.and_(*new) for seen, *new in zip(known, work, seconds, strict=True))

    def seconds_for(self, pace: str, work: Parts) -> Parts | None:
        """Seconds that each part of the work takes; None for a pace that has never been seen."""
        with self._lock:
            known = self._seen.get(pace)
        if known is None:
            return None
        return Parts(*(seen.seconds_for(units) for seen, units in zip(known, work, strict=True)))

    def total_s(self, works: Mapping[str, Parts]) -> float | None:
        """Seconds that work of several paces takes, one after the other; None if one of them has never been seen."""
        total = 0.0
        for pace, work in works.items():
            seconds = self.seconds_for(pace, work)
            if seconds is None:
                return None
            total += sum(seconds)
        return total

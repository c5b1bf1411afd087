"""How long tasks take: learns it part by part from completed runs, foretells it for waiting ones. No clock, no store.

What is left of a run that goes on is `remaining`'s.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wan22.hardware.attention import NATIVE
from wan22.models.catalogue import SPECS
from wan22.models.cost import costs_of
from wan22.models.specs import DEMO
from wan22.tasks import Parts, Phase, Plan, Request, Seen, Task, Timings

KEPT = 24
"""Runs that a speed is taken from: a new driver or a busy machine shows after half as many."""

_OPERATIONS_A_BYTE = 130.0  # that GPUs of all kinds do in the time in which they move one byte of their memory


def pace_of(request: Request, plan: Plan) -> str:
    """Names the tasks that need the same seconds for a unit of work: one model's weights, in one way on one device."""
    kind = plan.precision.get("transformer", "")
    named = {"step-cache": plan.step_cache, "compiled": plan.compiled, plan.attention: plan.attention != NATIVE}
    ways = "".join(f"/{name}" for name, is_so in named.items() if is_so)
    return f"{request.model_type.value}/{plan.variant}/{plan.device}/{plan.offload}/{kind}{ways}"


def shape_of(plan: Plan) -> str:
    """Names the tasks of a pace that go through the same sizes."""
    render = plan.render
    return f"{render.width}x{render.height}x{render.num_frames}/{plan.vae_tile}/{plan.slices}"


def work_of(request: Request, plan: Plan) -> Parts:
    """What all outputs of a task need, in the units of `Parts`."""
    render = plan.render
    delivered = float(request.num_videos * render.output_width * render.output_height * len(render.keep))
    if plan.variant == DEMO:  # so small that pixels tell more than operations
        rendered = float(request.num_videos * render.width * render.height * render.num_frames)
        return Parts(request.steps_taken * request.passes_a_step * rendered, rendered, delivered, 1.0)
    compute = plan.compute or plan.precision["text_encoder"]
    spec, vae = SPECS[request.model_type], plan.precision["vae"]
    costs = costs_of(spec, request, render, tile=plan.vae_tile, slices=plan.slices, compute=compute, vae=vae)
    denoising = costs[Phase.DENOISE].work
    operations = denoising.matrices + denoising.attention + _OPERATIONS_A_BYTE * denoising.traffic
    return Parts(operations, costs[Phase.DECODE].work.convolutions, delivered, 1.0)


def seconds_of(timings: Timings) -> Parts | None:
    """How long the parts of a completed run took; None where that was not measured.

    Loading is in none of them, since most tasks find the weights in memory.
    """
    total, denoise, decode, encode = timings.total_s, timings.denoise_s, timings.decode_s, timings.encode_s
    if total is None or denoise is None or decode is None or encode is None:
        return None
    if timings.denoised_together > 1:  # of one of several: its share, and not its waiting for the others
        text_s = (timings.text_encode_s or 0.0) / timings.denoised_together
        return Parts(denoise / timings.denoised_together, decode, encode, text_s + (timings.image_encode_s or 0.0))
    rest = total - (timings.loading_s or 0.0) - denoise - decode - encode
    return Parts(denoise, decode, encode, max(0.0, rest))


class _Sample(NamedTuple):
    shape: str
    work: Parts
    seconds: Parts


class Pace:
    """Seconds per unit of work of each part, for each pace that has been seen. Thread safe."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[_Sample]] = {}
        self._lock = threading.Lock()

    def learn(self, task: Task) -> None:
        """From a completed task; nothing from one whose timings have gaps, or that was begun again."""
        seconds = seconds_of(task.timings)
        if seconds is None or task.fallbacks:
            return
        sample = _Sample(shape_of(task.plan), work_of(task.request, task.plan), seconds)
        with self._lock:
            self._seen.setdefault(pace_of(task.request, task.plan), deque(maxlen=KEPT)).append(sample)

    def foretell(self, request: Request, plan: Plan) -> Seen | None:
        """How long such a task runs: by those of its size, or else by what others of its pace took for their work."""
        work, shape = work_of(request, plan), shape_of(plan)
        known = self._known(pace_of(request, plan))
        alike = [one for one in known if one.shape == shape]
        return Seen(_scaled(alike or known, work), is_same_size=bool(alike)) if known else None

    def seconds_for(self, pace: str, work: Parts) -> Parts | None:
        """Seconds that each part of the work takes; None for a pace that has never been seen."""
        known = self._known(pace)
        return _scaled(known, work) if known else None

    def total_s(self, works: Mapping[str, Parts]) -> float | None:
        """Seconds that work of several paces takes, one after the other; None if one of them has never been seen."""
        total = 0.0
        for pace, work in works.items():
            seconds = self.seconds_for(pace, work)
            if seconds is None:
                return None
            total += sum(seconds)
        return total

    def _known(self, pace: str) -> tuple[_Sample, ...]:
        with self._lock:
            return tuple(self._seen.get(pace, ()))


def _scaled(known: Sequence[_Sample], work: Parts) -> Parts:
    """The work at the speeds that are known, part by part."""
    works = zip(*(one.work for one in known), strict=True)
    seconds = zip(*(one.seconds for one in known), strict=True)
    return Parts(*(units * speed_of(*one) for units, *one in zip(work, works, seconds, strict=True)))


def speed_of(works: Sequence[float], seconds: Sequence[float]) -> float:
    """Seconds for a unit of work: the median of the runs, each with the weight of its work.

    So neither a run that something else disturbed nor many tiny ones change what large ones have shown.
    """
    order = sorted((took / work, work) for work, took in zip(works, seconds, strict=True) if work > 0)
    half, passed = sum(work for _, work in order) / 2, 0.0
    for speed, work in order:
        passed += work
        if passed >= half:
            return speed
    return 0.0

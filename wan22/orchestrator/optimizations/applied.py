"""Which optimizations a task's plan applies, by their ids, and those that a request may ask for by name. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wan22.errors import FieldError
from wan22.hardware.machine import Machine
from wan22.orchestrator.fitting import SLICES
from wan22.orchestrator.optimizations.registry import BY_ID
from wan22.tasks import Draft, Plan, Request

STEP_CACHE, BATCHING = "step-cache", "batching"

_STREAMED = ("blocks", "group")


def applied(request: Request, plan: Plan, machine: Machine) -> tuple[str, ...]:
    """Of those that a single task tells of, in the registry's order."""
    found = {name for name, holds in _of(request, plan, machine) if holds}
    return tuple(name for name in BY_ID if name in found)


def with_named(draft: Draft) -> Draft:
    """The draft with what its `optimizations` ask for; of those that can be left out, only these are applied."""
    if draft.optimizations is None:
        return draft
    changes: dict[str, bool] = {}
    if STEP_CACHE in draft.optimizations:
        changes["step_cache"] = True
    if draft.enable_optimization is None and BATCHING not in draft.optimizations:
        changes["enable_optimization"] = False
    return draft.model_copy(update=changes)


def unknown_in(draft: Draft) -> list[FieldError]:
    """One for each name that is no optimization's."""
    strangers = [name for name in draft.optimizations or () if name not in BY_ID]
    return [
        FieldError("optimizations", f"has none of that name; there are {', '.join(BY_ID)}", one) for one in strangers
    ]


def idle_in(named: Sequence[str], plan: Plan) -> list[FieldError]:
    """One for each that was asked for, and that the plan does not apply."""
    return [
        FieldError("optimizations", f"has {name}, which does nothing for this task; leave it out", name)
        for name in named
        if name not in plan.optimizations
    ]


def _of(request: Request, plan: Plan, machine: Machine) -> Iterator[tuple[str, bool]]:
    on_gpu = plan.device.startswith("cuda")
    yield "tensor-cores", on_gpu and plan.compute != "fp32"
    yield "memory-strategy", on_gpu
    yield "vram-budget", on_gpu
    yield "mixed-precision", set(plan.precision.values()) != {"fp32"}
    yield "parallel-preprocessing", machine.cores > 1
    yield "cpu-offload", plan.offload != "none"
    yield "thread-allocation", machine.cores > 1
    yield "weight-cache", True
    yield "mmap-loading", True
    yield "cuda-allocation", on_gpu and plan.offload in _STREAMED
    yield BATCHING, plan.at_once > 1
    yield "prompt-cache", request.enable_optimization
    yield "picture-cache", request.enable_optimization and request.image is not None
    yield "guidance-skip", min(request.guidance_scale, _or_more(request.guidance_scale_2)) <= 1
    yield SLICES, plan.slices is not None
    yield STEP_CACHE, plan.step_cache is not None
    yield "attention", plan.attention != "native"
    yield "compile", plan.compiled


def _or_more(scale: float | None) -> float:
    return 2.0 if scale is None else scale

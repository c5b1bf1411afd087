"""How far a whole task has come, from how far one phase of one of its outputs has. Pure."""

from __future__ import annotations

from wan22.tasks import Phase

WEIGHTS: dict[Phase, float] = {
    Phase.LOADING: 0.05,
    Phase.TEXT_ENCODE: 0.03,
    Phase.IMAGE_ENCODE: 0.02,
    Phase.DENOISE: 0.80,
    Phase.DECODE: 0.08,
    Phase.ENCODE: 0.02,
}
"""Share of each phase in the bar of a task with one output: what people watch is the denoising, whose length is known
in steps. Loading takes longer than its share the first time and nothing after that."""

FOR_EACH_OUTPUT = (Phase.DENOISE, Phase.DECODE, Phase.ENCODE)
"""Phases that each output goes through; the others come once, before the first."""

_SHARED = sum(weight for phase, weight in WEIGHTS.items() if phase not in FOR_EACH_OUTPUT)


def overall(phase: Phase, fraction: float, *, output: int = 0, outputs: int = 1) -> float:
    """Progress of the task, 0 to 1, when `phase` has come to `fraction` in the output of that index."""
    phases = list(WEIGHTS)
    here = sum(WEIGHTS[earlier] for earlier in phases[: phases.index(phase)]) + WEIGHTS[phase] * fraction
    if phase not in FOR_EACH_OUTPUT:
        return here
    return min(1.0, _SHARED + (output * (1 - _SHARED) + here - _SHARED) / outputs)

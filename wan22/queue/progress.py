"""Which share of a whole task each phase is. Pure."""

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

SHARED = sum(weight for phase, weight in WEIGHTS.items() if phase not in FOR_EACH_OUTPUT)


def before_outputs(phase: Phase, fraction: float) -> float:
    """Progress of the task, 0 to SHARED, when a phase that comes once has come to `fraction`."""
    phases = list(WEIGHTS)
    return sum(WEIGHTS[earlier] for earlier in phases[: phases.index(phase)]) + WEIGHTS[phase] * fraction

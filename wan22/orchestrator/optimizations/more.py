"""Verdicts on what the field knows beside the report's twenty."""

from __future__ import annotations

from wan22.hardware.attention import NATIVE
from wan22.hardware.compiling import compile_obstacle
from wan22.orchestrator.optimizations.standing import Facts, Standing, active, not_here


def prompts(facts: Facts) -> Standing:
    """Embedded prompts on disk."""
    if not facts.settings.storage.prompt_cache_bytes:
        return not_here("storage.prompt_cache_bytes is 0.")
    return active("Embedded prompts are kept on disk; a task with no new one never loads the text encoder.")


def guidance(_: Facts) -> Standing:
    """Passes that count nothing."""
    return active("With a guidance of 1 the second pass of a step is left out, for either expert alone, too.")


def slices(facts: Facts) -> Standing:
    """Blocks over slices of the sequence."""
    sliced = [model.value for model, plan in facts.plans.items() if plan.slices]
    if sliced:
        return active(f"Tasks of {', '.join(sliced)} need it at their usual size.")
    return active("Planned for a size that does not fit without; none of the usual sizes here needs it.")


def step_cache(facts: Facts) -> Standing:
    """Passes of which only the first block runs."""
    return active("A task that asks for it, by `step_cache`, spares most of a step in which little changed.")


def pictures(facts: Facts) -> Standing:
    """Encoded pictures on disk."""
    if not facts.settings.storage.picture_cache_bytes:
        return not_here("storage.picture_cache_bytes is 0.")
    return active("Encoded pictures are kept on disk; a task with the same one in the same size encodes none.")


def attention(facts: Facts) -> Standing:
    """Whose kernels."""
    others = {plan.attention for plan in facts.plans.values()} - {NATIVE}
    if others:
        return active(f"Attention is computed by {' and '.join(sorted(others))}, as device.attention says.")
    return not_here("torch's own attention is in use; flash or sage may be set by device.attention where installed.")


def compiling(facts: Facts) -> Standing:
    """Blocks that torch has compiled."""
    if obstacle := compile_obstacle(facts.machine, facts.device):
        return not_here(f"{obstacle[0].upper()}{obstacle[1:]}.")
    if not facts.settings.device.compile:
        return not_here("device.compile is off, since it pays only for many tasks of one kind.")
    so = [model.value for model, plan in facts.plans.items() if plan.compiled]
    if not so:
        return not_here("Weights in use are streamed or worked on in slices; `choices` of a task's plan tell.")
    return active(f"Blocks of {', '.join(so)} are compiled at their first task, and kept on disk for the next start.")

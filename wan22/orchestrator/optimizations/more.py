"""Verdicts on what the field knows beside the report's twenty."""

from __future__ import annotations

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

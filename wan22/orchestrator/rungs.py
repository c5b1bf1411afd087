"""What is tried when a run is out of memory all the same, one rung after the other. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from wan22.tasks import Plan

SLICE_TOKENS = 2_048
"""Enough to keep any GPU busy, and little beside the sequence of a size that is scarce of memory."""


@dataclass(frozen=True)
class Rung:
    """A plan that needs less memory, and what is said of it."""

    plan: Plan
    said: str


def rung_below(plan: Plan, *, has_others: bool, is_loaded: bool) -> Rung | None:
    """What to try after this plan; None if nothing is left.

    `has_others`: other models are loaded, whose memory can be had. `is_loaded`: memory ran out after the weights were
    there, so that less beside them helps.
    """
    if has_others:
        return Rung(plan, "All other models were unloaded.")
    if plan.offload == "none" and plan.device.startswith("cuda"):
        streamed = plan.model_copy(update={"offload": "group"})
        return Rung(streamed, "Weights were streamed from RAM, and frames decoded in tiles.")
    if plan.slices is None and is_loaded:
        sliced = plan.model_copy(update={"slices": SLICE_TOKENS})
        return Rung(sliced, f"The transformers' blocks worked on {SLICE_TOKENS} tokens at once.")
    return None

"""What is tried when a run is out of memory all the same, one rung after the other. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wan22.tasks import Plan

SLICE_TOKENS = 2_048
"""Enough to keep any GPU busy, and little beside the sequence of a size that is scarce of memory."""


@dataclass(frozen=True)
class Rung:
    """A plan that needs less memory, and what is said of it."""

    plan: Plan
    said: str


def rungs_of(plan: Plan, *, has_others: bool) -> Iterator[Rung]:
    """What is left to try for this plan; `has_others`: other models are loaded, whose memory can be had."""
    if has_others:
        yield Rung(plan, "All other models were unloaded.")
    if plan.offload == "none" and plan.device.startswith("cuda"):
        streamed = plan.model_copy(update={"offload": "group"})
        yield Rung(streamed, "Weights were streamed from RAM, and frames decoded in tiles.")
        plan = streamed
    if plan.slices is None:
        sliced = plan.model_copy(update={"slices": SLICE_TOKENS})
        yield Rung(sliced, f"The transformers' blocks worked on {SLICE_TOKENS} tokens at once.")

"""What is tried when a run is out of memory all the same, one rung after the other. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from wan22.queue.peaks import FEWER_AT_ONCE, OTHERS_UNLOADED
from wan22.tasks import Plan

SLICE_TOKENS = 2_048
"""Enough to keep any GPU busy, and little beside the sequence of a size that is scarce of memory."""


SMALLEST_TILE = 256
"""Pixels a side of the VAE's tiles where memory ran out with larger ones."""


@dataclass(frozen=True)
class Rung:
    """A plan that needs less memory, and what is said of it."""

    plan: Plan
    said: str


def rung_below(plan: Plan, *, at_once: int, has_others: bool, is_loaded: bool) -> Rung | None:
    """What to try after this plan; None if nothing is left.

    `at_once`: videos that were being denoised together. `has_others`: other models are loaded, whose memory can be had.
    `is_loaded`: memory ran out after the weights were there, so that less beside them helps.
    """
    if at_once > 1:
        fewer = at_once // 2
        return Rung(plan.model_copy(update={"at_once": fewer}), f"{FEWER_AT_ONCE}: {fewer}.")
    if has_others:
        return Rung(plan, OTHERS_UNLOADED)
    if plan.device.startswith("cuda") and (further := _streamed(plan)):
        return further
    if plan.slices is None and is_loaded:
        sliced = plan.model_copy(update={"slices": SLICE_TOKENS, "compiled": False})
        return Rung(sliced, f"The transformers' blocks worked on {SLICE_TOKENS} tokens at once.")
    return None


def _streamed(plan: Plan) -> Rung | None:
    """Block by block with none that stays, or layer by layer where that is so already; both with the smallest tiles."""
    how = "blocks" if plan.offload in ("none", "model") or plan.resident_blocks else "group"
    further = {"offload": how, "resident_blocks": 0 if how == "blocks" else None, "vae_tile": SMALLEST_TILE}
    streamed = plan.model_copy(update={**further, "compiled": False})
    pieces = {"blocks": "block by block", "group": "layer by layer"}[how]
    said = f"Weights were streamed from RAM {pieces}, and frames decoded in tiles of {SMALLEST_TILE} pixels."
    return None if streamed == plan else Rung(streamed, said)

"""Ends a run whose numbers have become none, before they are taken for a picture: a NaN would be a black pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wan22.errors import GenerationFailed

if TYPE_CHECKING:
    import torch

CURE = "Ask for quantization fp32, another seed or another size."


def must_be_finite(values: torch.Tensor, doing: str) -> None:
    """Raises GenerationFailed, which says that it happened while `doing`, if any value is infinite or NaN.

    Weights that overflow in half precision do that. So does torch 2.13 itself on CPUs with AMX: its bf16 convolutions
    in three dimensions give garbage for some narrow latents.
    """
    if not bool(values.isfinite().all()):
        raise GenerationFailed(f"The model's numbers ran out of their range while {doing}. {CURE}", hint=CURE)

"""Ends a run whose numbers have become none, before they are taken for a picture: a NaN would be a black pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wan22.errors import GenerationFailed
from wan22.pipelines.adapters import any_on
from wan22.pipelines.loaded import LoadedModel

if TYPE_CHECKING:
    import torch

_WITHOUT_LORAS = "leave its LoRAs out, or give them smaller weights"
_WIDER = "ask for quantization fp32"
_OTHERWISE = "ask for another seed or another size"


def must_be_finite(values: torch.Tensor, doing: str, model: LoadedModel) -> None:
    """Raises GenerationFailed, which says that it happened while `doing`, if any value is infinite or NaN.

    Weights that overflow in half precision do that. So does torch 2.13 itself on CPUs with AMX: its bf16 convolutions
    in three dimensions give garbage for some narrow latents.
    """
    if not bool(values.isfinite().all()):
        cure = _cure(model)
        raise GenerationFailed(f"The model's numbers ran out of their range while {doing}. {cure}", hint=cure)


def _cure(model: LoadedModel) -> str:
    """What may help this run, the likeliest first; never what it has done already."""
    ways = [_WITHOUT_LORAS] if any_on(model) else []
    ways += [_WIDER] if model.dtypes["transformer"] != "fp32" else []
    said = "; or ".join([*ways, _OTHERWISE])
    return f"{said[0].upper()}{said[1:]}."

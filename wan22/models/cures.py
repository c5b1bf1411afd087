"""What to do about weights that are not on disk, not whole, or damaged, in words that end a message."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from wan22.models import demo_weights
from wan22.models.catalogue import SPECS, VariantSpec
from wan22.models.convert.layout import Kind
from wan22.models.specs import OFFICIAL

FETCH_A_COPY = (
    "Have that program fetch them again; or set models.use_hf_cache to false or leave models.comfyui_dirs empty, and "
    "download a copy."
)
"""Of damaged files that are another program's."""


def cure_of(variant: VariantSpec) -> str:
    """How to get a variant or a LoRA that is not whole."""
    model = variant.model_type.value.lower()
    if variant.repository is None and variant.name not in get_args(Kind):
        return f"Put its files into {SPECS[variant.model_type].slug}/{variant.name} of a models' folder."
    if variant.repository is None:
        return f"Run `wan22 models convert {model} --to {variant.precision}`, or put its files there."
    return f"Run `wan22 models download {model}{_named(variant)}`."


def mend_of(variant: VariantSpec, folder: Path, owner: str | None = None) -> str:
    """How to get the files of a variant in `folder` right again, which are there and damaged; `owner` as a report's."""
    if variant.is_demo:
        return demo_weights.CURE
    if owner:
        return FETCH_A_COPY
    if variant.repository is None:
        return f"Remove {folder}. {cure_of(variant)}"
    return f"Run `wan22 models verify {variant.model_type.value.lower()}{_named(variant)} --repair`."


def _named(variant: VariantSpec) -> str:
    return "" if variant.name == OFFICIAL else f" --variant {variant.name}"

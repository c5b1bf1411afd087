"""What a key of a LoRA file says: which layer of the transformer it is for, and which part of that layer's LoRA.

Opens no file (`files`) and compares no sizes (`fit`).

Whatever a file calls them, layers go by diffusers' names of WanTransformer3DModel from here on, so that nothing else
needs to know where a file is from. diffusers has a conversion of its own, and it is not relied on: it raises on real
files (an alpha outside the blocks, a kohya file without its FFN), and loads nothing from those without a prefix, with a
warning only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Format = Literal["diffusers", "original", "lightx2v", "kohya", "diffusers without prefix", "original without prefix"]
"""Whose names the keys are: `original` are Wan's own, as ComfyUI has them; `lightx2v` has whole differences besides."""

Part = Literal["down", "up", "alpha", "bias", "difference", "magnitude"]
"""`difference` is a change of a weight in full, `magnitude` what DoRA has beside the two matrices."""

_IN_BLOCK = {
    "attn1.to_q": "self_attn.q",
    "attn1.to_k": "self_attn.k",
    "attn1.to_v": "self_attn.v",
    "attn1.to_out.0": "self_attn.o",
    "attn2.to_q": "cross_attn.q",
    "attn2.to_k": "cross_attn.k",
    "attn2.to_v": "cross_attn.v",
    "attn2.to_out.0": "cross_attn.o",
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
}
_OUTSIDE = {
    "condition_embedder.time_embedder.linear_1": "time_embedding.0",
    "condition_embedder.time_embedder.linear_2": "time_embedding.2",
    "condition_embedder.time_proj": "time_projection.1",
    "condition_embedder.text_embedder.linear_1": "text_embedding.0",
    "condition_embedder.text_embedder.linear_2": "text_embedding.2",
    "proj_out": "head.head",
}
# Of the cross-attention to a picture, which Wan 2.1's image models have and no model of 2.2.
_IMAGE_BRANCH = re.compile(r"(?:_img(?![a-z])|img_emb|image_embedder|add_[kv]_proj|norm_added_)")

_PREFIX = re.compile(
    r"(?:base_model\.model\.)?(?:model\.(?=diffusion_model\.))?"
    r"(?P<prefix>diffusion_model\.|transformer\.|transformer_2\.|lora_unet__?|lora_transformer_)?"
)
_PARTS: dict[Part, str] = {
    "down": r"lora(?:_A|_down|\.down)(?:\.default)?\.weight",
    "up": r"lora(?:_B|_up|\.up)(?:\.default)?\.weight",
    "alpha": r"alpha",
    "bias": r"lora_B(?:\.default)?\.bias|diff_b",
    "difference": r"diff|diff_m",
    "magnitude": r"dora_scale|lora_magnitude_vector(?:\.default)?(?:\.weight)?",
}
_KEY = re.compile(r"(?P<layer>.+?)\.(?:" + "|".join(f"(?P<{part}>{form})" for part, form in _PARTS.items()) + ")")
_BLOCK = re.compile(r"blocks[._](?P<block>[0-9]{1,4})[._](?P<inside>.+)")


@dataclass(frozen=True)
class Meaning:
    """What one key says. `layer` is diffusers' name where `known`, and the file's own otherwise."""

    layer: str
    part: Part
    format: Format
    known: bool
    second: bool = False  # named as a part of `transformer_2`, which is the low-noise expert


@lru_cache(maxsize=16_384)  # files of one kind have the same keys
def meaning(key: str) -> Meaning | None:
    """What the key says, or None if it is none of a LoRA's."""
    found = _PREFIX.match(key)
    prefix = (found["prefix"] or "") if found else ""
    rest = _KEY.fullmatch(key, found.end() if found else 0)
    if rest is None:
        return None
    layer, as_in_diffusers = _layer(rest["layer"])
    return Meaning(
        layer or rest["layer"],
        next(part for part in _PARTS if rest[part] is not None),
        _format(prefix, as_in_diffusers),
        known=layer is not None,
        second=prefix == "transformer_2.",
    )


def is_image_branch(layer: str) -> bool:
    """True for layers that look at a picture's embedding; 2.2 gives the picture as latents."""
    return _IMAGE_BRANCH.search(layer) is not None


def block_of(layer: str) -> int | None:
    """The number of the block that a known layer is in; None outside of the blocks."""
    found = _BLOCK.fullmatch(layer)
    return int(found["block"]) if found else None


def in_block(layer: str) -> str:
    """A known layer's name inside its block, and its whole name outside of the blocks."""
    found = _BLOCK.fullmatch(layer)
    return found["inside"] if found else layer


def _format(prefix: str, as_in_diffusers: bool) -> Format:
    if prefix.startswith("lora_"):
        return "kohya"
    if prefix:
        return "diffusers" if as_in_diffusers else "original"
    return "diffusers without prefix" if as_in_diffusers else "original without prefix"


def _layer(name: str) -> tuple[str | None, bool]:
    """Diffusers' name of a layer, None if there is no such one, and whether it is the name that was given."""
    found = _BLOCK.fullmatch(name)
    if found is None:
        return _OUTSIDE_BY_NAME.get(name, (None, False))
    inside, as_in_diffusers = _IN_BLOCK_BY_NAME.get(found["inside"], (None, False))
    return inside and f"blocks.{int(found['block'])}.{inside}", as_in_diffusers


def _by_name(names: dict[str, str]) -> dict[str, tuple[str, bool]]:
    """Every spelling of a layer's name, kohya's with underscores for dots among them."""
    spelled: dict[str, tuple[str, bool]] = {}
    for diffusers, original in names.items():
        spelled |= dict.fromkeys((original, original.replace(".", "_")), (diffusers, False))
        spelled |= dict.fromkeys((diffusers, diffusers.replace(".", "_")), (diffusers, True))
    return spelled


_IN_BLOCK_BY_NAME = _by_name(_IN_BLOCK)
_OUTSIDE_BY_NAME = _by_name(_OUTSIDE)

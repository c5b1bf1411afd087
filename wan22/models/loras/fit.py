"""Whether a LoRA fits a model: its layers against the transformer that the model's own config.json describes.

Loads nothing; that the layers were really injected is for the loader to see.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wan22.errors import ModelCorrupt
from wan22.models.loras.files import LoraFile, LoraLayer, shown
from wan22.models.loras.folders import Lora
from wan22.models.loras.keys import in_block
from wan22.models.variants import Variant

_CURE = "choose a LoRA that was made for this model."
_FAMILIES = {5120: "A14B", 3072: "5B", 1536: "the 1.3B of Wan 2.1"}
_MODULATIONS = 6  # shift, scale and gate, before self-attention and before the feed-forward layers


def family(lora: Lora) -> str | None:
    """The models of real size that it was made for, by the width of its layers; None for any other width."""
    widths = {file.width for file in lora.files}
    return _FAMILIES.get(widths.pop() or 0) if len(widths) == 1 else None


@dataclass(frozen=True)
class Transformer:
    """The sizes of a model's transformer that a LoRA must match, and how many experts of it the model has."""

    width: int
    ffn_width: int
    blocks: int
    text_width: int
    time_width: int
    outputs: int
    experts: int = 1

    @classmethod
    def of(cls, config: Mapping[str, Any], *, experts: int = 1) -> Transformer:
        """From the content of diffusers' config.json of a WanTransformer3DModel. Raises ModelCorrupt if it is none."""
        try:
            return cls(
                width=config["num_attention_heads"] * config["attention_head_dim"],
                ffn_width=config["ffn_dim"],
                blocks=config["num_layers"],
                text_width=config["text_dim"],
                time_width=config["freq_dim"],
                outputs=config["out_channels"] * math.prod(config["patch_size"]),
                experts=experts,
            )
        except (KeyError, TypeError) as error:
            raise ModelCorrupt(f"The transformer's config.json lacks a size ({error}).") from error

    def sizes(self, name: str) -> tuple[int, int]:
        """Inputs and outputs of a layer, by its name in diffusers."""
        width = self.width
        special = {
            "ffn.net.0.proj": (width, self.ffn_width),
            "ffn.net.2": (self.ffn_width, width),
            "condition_embedder.time_embedder.linear_1": (self.time_width, width),
            "condition_embedder.time_proj": (width, width * _MODULATIONS),
            "condition_embedder.text_embedder.linear_1": (self.text_width, width),
            "proj_out": (width, self.outputs),
        }
        return special.get(in_block(name), (width, width))


def transformer_of(variant: Variant) -> Transformer:
    """The transformer of weights on disk, wherever its config.json is. Raises ModelCorrupt if that can't be read."""
    return Transformer.of(variant.transformer_config(), experts=len(variant.spec.transformers))


def fits(lora: Lora, transformer: Transformer) -> str | None:
    """None, or why it does not fit, in a sentence that ends in a cure."""
    if lora.problem:
        return lora.problem
    if lora.single is None and transformer.experts == 1:
        return f"It is made for one of two experts, and this model has a single transformer; {_CURE}"
    reasons = (_misfit(file, transformer) for file in lora.files)
    return next((reason for reason in reasons if reason), None)


def misfits(lora: Lora, models: Mapping[str, Transformer]) -> Mapping[str, str]:
    """Which of the models it does not fit, by their keys, and why."""
    reasons = ((name, fits(lora, transformer)) for name, transformer in models.items())
    return {name: reason for name, reason in reasons if reason}


def _misfit(file: LoraFile, transformer: Transformer) -> str | None:
    if file.foreign:
        return _foreign(file)
    if file.width not in (None, transformer.width):
        family = f" ({_FAMILIES[file.width]})" if file.width in _FAMILIES else ""
        said = f"It is made for {file.width} wide transformers{family}; this model's are {transformer.width} wide"
        return f"{said}; {_CURE}"
    if file.blocks > transformer.blocks:
        said = f"It has layers for {file.blocks} blocks, and this model's transformers have {transformer.blocks}"
        return f"{said}; {_CURE}"
    wrong = next((layer for layer in file.layers if not _matches(layer, transformer)), None)
    return _wrong(wrong, transformer) if wrong else None


def _matches(layer: LoraLayer, transformer: Transformer) -> bool:
    return (layer.inputs, layer.outputs) == transformer.sizes(layer.name)


def _wrong(layer: LoraLayer, transformer: Transformer) -> str:
    inputs, outputs = transformer.sizes(layer.name)
    has = f"takes {layer.inputs} numbers and gives {layer.outputs}"
    return f"Its layer {layer.name} {has}, and this model's {inputs} and {outputs}; {_CURE}"


def _foreign(file: LoraFile) -> str:
    name = shown(file.foreign[0])
    return f"It has {len(file.foreign)} layers that no LoRA is put on here, such as {name}; {_CURE}"

"""LoRA files for the demo weights: chance numbers of the right sizes, strong enough to be seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import SHIPPED
from wan22.tasks import ModelType

DIFFUSERS = {
    **{f"attn{n}.{name}": "width width" for n in (1, 2) for name in ("to_q", "to_k", "to_v", "to_out.0")},
    "ffn.net.0.proj": "width ffn",
    "ffn.net.2": "ffn width",
}
"""Inputs and outputs of a block's linear layers."""


def lora_for(model_type: ModelType, path: Path, *, rank: int = 4, seed: int = 0, strength: float = 0.2) -> Path:
    """A LoRA for every linear layer of one transformer of the shipped model, in diffusers' format."""
    config = json.loads((SHIPPED / SPECS[model_type].slug / "transformer/config.json").read_text("utf-8"))
    sizes = {"width": config["num_attention_heads"] * config["attention_head_dim"], "ffn": config["ffn_dim"]}
    random, tensors = np.random.default_rng(seed), {}
    for block in range(config["num_layers"]):
        for name, shape in DIFFUSERS.items():
            inputs, outputs = (sizes[word] for word in shape.split())
            layer = f"transformer.blocks.{block}.{name}"
            tensors[f"{layer}.lora_A.weight"] = random.normal(size=(rank, inputs)) / inputs**0.5
            tensors[f"{layer}.lora_B.weight"] = random.normal(size=(outputs, rank)) * strength
    return write(path, tensors)


def write(path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    """The tensors in half precision."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.asarray(value, np.float16) for name, value in tensors.items()}, path)
    return path

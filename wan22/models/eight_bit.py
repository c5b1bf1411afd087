"""Weights of transformers in 8 bits, as torchao's weight-only configurations keep them: one scale for each row.

That makes rows independent of each other, so that a matrix may be narrowed in slices. Reads no tensor from a file.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from wan22.models.files import read_json

_KINDS = {"Int8WeightOnlyConfig": "int8", "Float8WeightOnlyConfig": "fp8"}

NOISY = ("torchao", "torch.utils._pytree")
"""Loggers that say at import which of CUDA's kernels are not there, none of which is used, and what will go."""


@cache
def torchao() -> Any:
    """torchao's module of quantization, imported without a word."""
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    from torchao import quantization

    return quantization


def config_of(kind: str) -> Any:
    """torchao's configuration for int8 or fp8: a scale for each row, symmetric, the activations left alone."""
    return torchao().Int8WeightOnlyConfig() if kind == "int8" else torchao().Float8WeightOnlyConfig()


def stored_bits(folder: Path) -> str | None:
    """The 8 bits that a component in diffusers layout is kept in, or another word for another kind; None for none."""
    config = (read_json(folder / "config.json") or {}).get("quantization_config")
    try:
        return None if config is None else _KINDS.get(config["quant_type"]["default"]["_type"], "other bits")
    except (KeyError, TypeError):
        return "other bits"


def narrowed(weight: Any, kind: str) -> Any:
    """The matrix (outputs, inputs) in int8 or fp8, exactly as diffusers narrows that of a linear layer."""
    import torch

    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = torch.nn.Parameter(weight, requires_grad=False)
    torchao().quantize_(layer, config_of(kind))
    return layer.weight


def narrow_names(transformer: Any) -> frozenset[str]:
    """The tensors of a transformer that are kept in 8 bits: linear layers' weights outside of what must stay fp32.

    The rule is that of diffusers' quantizer for torchao (`check_if_quantized_param`).
    """
    import torch

    kept = tuple(f"{name}." for name in transformer._keep_in_fp32_modules or ())
    layers = (name for name, module in transformer.named_modules() if isinstance(module, torch.nn.Linear))
    return frozenset(f"{name}.weight" for name in layers if not any(one in f"{name}.weight" for one in kept))


def is_narrow(weight: Any) -> bool:
    """Whether a tensor is one of torchao's. The module is asked only where something has imported it."""
    return type(weight).__module__.startswith("torchao.")


def is_any_narrow(network: Any) -> bool:
    """Whether a network has weights of torchao's."""
    return any(map(is_narrow, network.parameters()))


def parts_of(weight: Any) -> dict[str, Any]:
    """The plain tensors that a narrow one is made of: the numbers, the scales, and whatever else its kind has."""
    names, _ = weight.__tensor_flatten__()
    return {name: getattr(weight, name) for name in names}


def flattened(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Plain tensors by the names that they have in files, and what a file says beside, as diffusers saves them."""
    torchao()
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

    flat, metadata = flatten_tensor_state_dict(dict(state))
    return flat, metadata


def held_bytes(network: Any) -> int:
    """Bytes of all parameters and buffers, those in 8 bits with their scales. Their own `nbytes` tells of 16 or 32."""
    return sum(_bytes_of(one) for one in (*network.parameters(), *network.buffers()))


def _bytes_of(tensor: Any) -> int:
    return sum(part.nbytes for part in parts_of(tensor).values()) if is_narrow(tensor) else int(tensor.nbytes)


def calculate_in(network: Any, dtype: Any) -> None:
    """Let weights that were stored in 8 bits pass for `dtype`, as if they had been narrowed from it.

    What is multiplied has the activations' dtype anyway for int8; fp8 is widened to this one first, and LoRAs take it.
    The scales are fp32 whatever it is.
    """
    for module in network.modules():
        for name, weight in module.named_parameters(recurse=False):
            if is_narrow(weight) and weight.dtype != dtype:
                setattr(module, name, _recast(weight, dtype))


def _recast(weight: Any, dtype: Any) -> Any:
    import torch

    _, rest = weight.__tensor_flatten__()
    made = type(weight).__tensor_unflatten__(parts_of(weight), {**rest, "dtype": dtype}, weight.shape, weight.stride())
    return torch.nn.Parameter(made, requires_grad=False)

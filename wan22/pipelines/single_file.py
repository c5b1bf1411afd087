"""Reads a transformer from one file, as ComfyUI and llama.cpp's world keep them, and makes sure that it is whole.

The names of its tensors are Wan's own or diffusers'; ComfyUI's prefixes are dropped. Whole folders are `components`'.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wan22.errors import ModelCorrupt
from wan22.models.eight_bit import narrow_names, narrowed
from wan22.models.single_files import is_gguf, plain

_SCALE = ".scale_weight"
"""ComfyUI's scaled fp8: the layer's weight is to be multiplied with it."""

_LEFT_OUT = (".scale_input", "scaled_fp8")  # of activations, for arithmetic in fp8; and the mark of such a file
_OF_DIFFUSERS = "condition_embedder."  # what no file with Wan's own names has


def read_transformer(path: Path, config: Mapping[str, Any], dtype: Any, *, bits: str | None = None) -> Any:
    """The transformer in `path`, of the sizes in `config`, on the CPU and ready to run; it computes in `dtype`.

    GGUF stays in memory as it is on disk, and is widened layer by layer as it is used; fp8 is widened here. `bits`,
    int8 or fp8, narrows the linear layers' weights of other files. Modules that must stay fp32 do. Raises ModelCorrupt
    naming the first tensor that is missing, not known or of another shape.
    """
    tensors = _diffusers_names(_gguf(path) if is_gguf(path) else _safetensors(path, dtype))
    network = _empty(config)
    _compare(tensors, network.state_dict(), path.name)
    return _from_gguf(network, tensors, config, dtype) if is_gguf(path) else _filled(network, tensors, dtype, bits)


def _gguf(path: Path) -> dict[str, Any]:
    from diffusers.models.model_loading_utils import load_gguf_checkpoint

    return {plain(name): tensor for name, tensor in load_gguf_checkpoint(str(path)).items()}


def _safetensors(path: Path, dtype: Any) -> dict[str, Any]:
    """By plain name; scaled ones multiplied out, the others as they are, mapped from the file until they are used."""
    from safetensors.torch import load_file

    tensors = {plain(name): tensor for name, tensor in load_file(path).items()}
    for name in [name for name in tensors if name.endswith(_SCALE)]:
        scale, weight = tensors.pop(name), name.removesuffix(_SCALE) + ".weight"
        if weight in tensors:
            tensors[weight] = (tensors[weight].float() * scale.float()).to(dtype)
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(_LEFT_OUT)}


def _diffusers_names(tensors: dict[str, Any]) -> dict[str, Any]:
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    if any(name.startswith(_OF_DIFFUSERS) for name in tensors):
        return tensors
    renamed: dict[str, Any] = convert_wan_transformer_to_diffusers(tensors)
    return renamed


def _empty(config: Mapping[str, Any]) -> Any:
    """The network without memory for its weights."""
    from accelerate import init_empty_weights
    from diffusers import WanTransformer3DModel

    with init_empty_weights():
        return WanTransformer3DModel.from_config(dict(config))


def _compare(tensors: Mapping[str, Any], wanted: Mapping[str, Any], file: str) -> None:
    missing = next((name for name in wanted if name not in tensors), None)
    if missing:
        raise ModelCorrupt(f"{file} lacks {missing} among its tensors")
    strange = next((name for name in tensors if name not in wanted), None)
    if strange:
        raise ModelCorrupt(f"{file} has a tensor {strange}, which this model does not have")
    wrong = next((name for name in wanted if _shape(tensors[name]) != tuple(wanted[name].shape)), None)
    if wrong:
        found = _shape(tensors[wrong])
        raise ModelCorrupt(f"{file} has {wrong} of {found} where the model's is {tuple(wanted[wrong].shape)}")


def _shape(tensor: Any) -> tuple[int, ...]:
    """As it is once it is widened: a quantized one lies there as bytes."""
    from diffusers.quantizers.gguf.utils import GGML_QUANT_SIZES, GGUFParameter

    if not isinstance(tensor, GGUFParameter):
        return tuple(tensor.shape)
    numbers, size = GGML_QUANT_SIZES[tensor.quant_type]
    return (*tensor.shape[:-1], tensor.shape[-1] // size * numbers)


def _from_gguf(network: Any, tensors: dict[str, Any], config: Mapping[str, Any], dtype: Any) -> Any:
    """Only linear layers widen their weights as they are used: whatever else is in a narrow kind is widened here."""
    from diffusers import GGUFQuantizationConfig, WanTransformer3DModel
    from diffusers.quantizers.gguf.utils import GGUFParameter, dequantize_gguf_tensor

    narrow = narrow_names(network)
    for name, tensor in tensors.items():
        if isinstance(tensor, GGUFParameter) and name not in narrow:
            tensors[name] = dequantize_gguf_tensor(tensor).float()
    with tempfile.TemporaryDirectory() as folder:  # a path is all that diffusers takes
        (Path(folder) / "config.json").write_text(json.dumps(dict(config)), "utf-8")
        quantization = GGUFQuantizationConfig(compute_dtype=dtype)
        return WanTransformer3DModel.from_single_file(
            tensors, config=folder, quantization_config=quantization, dtype=dtype, local_files_only=True
        )


def _filled(network: Any, tensors: dict[str, Any], dtype: Any, bits: str | None) -> Any:
    """The network with its weights. diffusers' own way would also narrow the modules that must stay fp32."""
    import torch

    kept = set(network._keep_in_fp32_modules or ())
    narrow = narrow_names(network) if bits else frozenset()
    for name in list(tensors):
        wide = kept.intersection(name.split(".")) and dtype != torch.float32
        value = tensors[name].to(torch.float32 if wide else dtype)
        tensors[name] = narrowed(value, bits) if bits and name in narrow else value
    network.requires_grad_(False).load_state_dict(tensors, assign=True)
    return network.eval()

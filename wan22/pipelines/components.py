"""Reads one component of a model from its folder and makes sure that it is what it should be. Places it nowhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wan22.errors import ModelCorrupt
from wan22.models.eight_bit import calculate_in, config_of, stored_bits
from wan22.models.parts import Parts
from wan22.pipelines.memory import is_oom
from wan22.pipelines.single_file import read_transformer
from wan22.pipelines.structure import check_structure

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
# A class name from a file is looked up in transformers, so only these are: the first two are what Wan's repositories
# say, the others what transformers writes.
_TOKENIZERS = ("T5TokenizerFast", "T5Tokenizer", "PreTrainedTokenizerFast", "TokenizersBackend")


def read_index(path: Path) -> dict[str, Any]:
    """A model_index.json. Raises ModelCorrupt if it is not an object in JSON."""
    try:
        index = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelCorrupt(f"model_index.json can't be read ({error})") from error
    if not isinstance(index, dict):
        raise ModelCorrupt("model_index.json is no object")
    return index


@dataclass(frozen=True)
class Width:
    """How wide a network's numbers are: what it calculates in, and 8 bits for the linear layers' weights, or not."""

    dtype: str  # fp32, bf16 or fp16
    bits: str | None = None  # int8 or fp8


def check_headers(places: Parts, name: str) -> None:
    """Compare what the weight files of a component say of themselves with its config.json, before any is read.

    Raises ModelCorrupt, as `read_component` does.
    """
    if name not in ("scheduler", "tokenizer"):
        check_structure(places.place(name), name, _network_class(name))


def read_component(places: Parts, name: str, index: dict[str, Any], width: Width) -> Any:
    """The component `name` of a model, on the CPU and ready to run, as wide as that.

    Reads local safetensors and GGUF only. Modules that must stay fp32 do. Raises ModelCorrupt, which says what is wrong
    and leaves the cure to the caller, who knows where the files came from.
    """
    place = places.place(name)
    try:
        if name == "scheduler":
            return _scheduler(place)
        if name == "tokenizer":
            return _tokenizer(place, index)
        if place.is_file():
            return read_transformer(place, places.config or {}, _torch_dtype(width.dtype), bits=width.bits)
        return _network(place, name, width)
    except ModelCorrupt:
        raise
    except Exception as error:  # what a damaged file raises is of a dozen kinds; tokenizers has only this one
        if is_oom(error):
            raise
        raise ModelCorrupt(f"{name} can't be read ({_first_line(error)})") from error


def _torch_dtype(dtype: str) -> Any:
    import torch

    return getattr(torch, DTYPES[dtype])


def _scheduler(folder: Path) -> Any:
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler.from_pretrained(folder, local_files_only=True)


def _tokenizer(folder: Path, index: dict[str, Any]) -> Any:
    import transformers

    _, class_name = index["tokenizer"]
    if class_name not in _TOKENIZERS:
        raise ModelCorrupt(f"tokenizer is a {class_name}, which is none of {', '.join(_TOKENIZERS)}")
    return getattr(transformers, class_name).from_pretrained(folder, local_files_only=True)


def _network(folder: Path, name: str, width: Width) -> Any:
    dtype = _torch_dtype(width.dtype)
    network, report = _network_class(name).from_pretrained(
        folder,
        dtype=dtype,
        local_files_only=True,
        use_safetensors=True,
        output_loading_info=True,
        **_narrowing(folder, name, width.bits),
    )
    missing = sorted(report["missing_keys"]) + [key for key, value in network.named_parameters() if value.is_meta]
    if missing:
        raise ModelCorrupt(f"{name} lacks {len(missing)} of its tensors, {missing[0]} among them")
    if report["mismatched_keys"]:
        raise ModelCorrupt(f"{name} has tensors of other shapes than its configuration says")
    if name == "text_encoder":
        _check_embedding(network)
    if width.bits:
        calculate_in(network, dtype)
    return network.eval()


def _narrowing(folder: Path, name: str, bits: str | None) -> dict[str, Any]:
    """What narrows weights as they are read, one matrix at a time; nothing where they lie on disk as they should be."""
    stored = stored_bits(folder)
    if stored not in (None, bits):
        raise ModelCorrupt(f"{name} is kept in {stored} where {bits or 'plain weights'} should be")
    if bits is None or stored:
        return {}
    from diffusers import TorchAoConfig

    return {"quantization_config": TorchAoConfig(config_of(bits))}


def _network_class(name: str) -> Any:
    from diffusers import AutoencoderKLWan, WanTransformer3DModel
    from transformers import UMT5EncoderModel

    return {"vae": AutoencoderKLWan, "text_encoder": UMT5EncoderModel}.get(name, WanTransformer3DModel)


def _check_embedding(encoder: Any) -> None:
    """Some releases of transformers 5 left the encoder's embedding zero: it makes garbage, and no error says so."""
    shared, used = encoder.shared.weight, encoder.encoder.embed_tokens.weight
    if used is not shared and not bool((used == shared).all()):
        raise ModelCorrupt("text_encoder has an embedding that is not the shared one")
    if not bool(used.any()):
        raise ModelCorrupt("text_encoder has an embedding of zeros")


def _first_line(error: Exception) -> str:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {said.rstrip('.')}" if said else type(error).__name__

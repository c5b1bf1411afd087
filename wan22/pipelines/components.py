"""Reads one component of a model from its folder and makes sure that it is what it should be. Places it nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wan22.errors import ModelCorrupt
from wan22.pipelines.memory import is_oom

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
# A class name from a file is looked up in transformers, so only these are: the first two are what Wan's repositories
# say, the others what transformers writes.
_TOKENIZERS = ("T5TokenizerFast", "T5Tokenizer", "PreTrainedTokenizerFast", "TokenizersBackend")


def read_index(folder: Path) -> dict[str, Any]:
    """The folder's model_index.json. Raises ModelCorrupt if it is not an object in JSON."""
    try:
        index = json.loads((folder / "model_index.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelCorrupt(f"model_index.json can't be read ({error})") from error
    if not isinstance(index, dict):
        raise ModelCorrupt("model_index.json is no object")
    return index


def read_component(folder: Path, name: str, index: dict[str, Any], dtype: str | None) -> Any:
    """The component `name` of the model in `folder`, on the CPU and ready to run, in `dtype` (fp32, bf16 or fp16).

    Reads local safetensors only. Modules that must stay fp32 do. Raises ModelCorrupt, which says what is wrong and
    leaves the cure to the caller, who knows where the files came from.
    """
    try:
        if name == "scheduler":
            return _scheduler(folder / name)
        if name == "tokenizer":
            return _tokenizer(folder / name, index)
        return _network(folder / name, name, dtype or "fp32")
    except ModelCorrupt:
        raise
    except Exception as error:  # what a damaged file raises is of a dozen kinds; tokenizers has only this one
        if is_oom(error):
            raise
        raise ModelCorrupt(f"{name} can't be read ({_first_line(error)})") from error


def _scheduler(folder: Path) -> Any:
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler.from_pretrained(folder, local_files_only=True)


def _tokenizer(folder: Path, index: dict[str, Any]) -> Any:
    import transformers

    _, class_name = index["tokenizer"]
    if class_name not in _TOKENIZERS:
        raise ModelCorrupt(f"tokenizer is a {class_name}, which is none of {', '.join(_TOKENIZERS)}")
    return getattr(transformers, class_name).from_pretrained(folder, local_files_only=True)


def _network(folder: Path, name: str, dtype: str) -> Any:
    import torch

    network, report = _network_class(name).from_pretrained(
        folder,
        dtype=getattr(torch, DTYPES[dtype]),
        local_files_only=True,
        use_safetensors=True,
        output_loading_info=True,
    )
    missing = sorted(report["missing_keys"]) + [key for key, value in network.named_parameters() if value.is_meta]
    if missing:
        raise ModelCorrupt(f"{name} lacks {len(missing)} of its tensors, {missing[0]} among them")
    if report["mismatched_keys"]:
        raise ModelCorrupt(f"{name} has tensors of other shapes than its configuration says")
    if name == "text_encoder":
        _check_embedding(network)
    return network.eval()


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

"""Compares the headers of a component's weight files with what its config.json implies, before a tensor is read.

So a folder that is damaged or mixed up is found in a second, and not after minutes of reading. What the tensors
hold is left to others: hashes are `models.verification`'s, the embedding is `components`'.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from wan22.errors import ModelCorrupt
from wan22.models.headers import Tensor, read_tensors

FLOATS = ("F64", "F32", "F16", "BF16")
"""What plain weights may be stored as. Narrower floats need scales, which only a quantizer's own loader applies."""

TIED = frozenset({"shared.weight", "encoder.embed_tokens.weight"})
"""UMT5's embedding under its two names: a file may have either, or both."""

Shapes = Mapping[str, tuple[int, ...]]


def check_structure(place: Path, name: str, kind: Any) -> None:
    """Every tensor that the component `name`, a network of class `kind`, needs is in the files of `place`, in its shape
    and stored as floats.

    Raises ModelCorrupt with the first wrong file and tensor, what is expected and what was found. Checks nothing where
    the format has a loader of its own: a single file, such as GGUF, in place of the folder, and quantized weights.
    """
    if place.is_file() or "quantization_config" in (config := _read_json(place / "config.json", name)):
        return
    shapes = _shapes(kind, json.dumps(config, sort_keys=True))
    files = _files(place, name)
    found = {path.name: _tensors(path, name) for path in dict.fromkeys(files.values())}
    for path, tensors in found.items():
        for tensor in (key for key in shapes if key in tensors):
            _compare(f"{name}/{path} has {tensor}", tensors[tensor], shapes[tensor])
    there = frozenset().union(*found.values())
    absent = next(_absent(shapes, there), None)
    if absent:
        file = files.get(absent) or files.get("") or place / f"{_stem(name)}.index.json"
        raise ModelCorrupt(f"{name}/{file.name} lacks {absent} of {_sides(shapes[absent])}")


def _compare(told: str, found: Tensor, shape: tuple[int, ...]) -> None:
    if found.shape != shape:
        raise ModelCorrupt(f"{told} of {_sides(found.shape)} where config.json implies {_sides(shape)}")
    if found.dtype not in FLOATS:
        raise ModelCorrupt(f"{told} as {found.dtype} where plain weights are {', '.join(FLOATS[:-1])} or {FLOATS[-1]}")


def _absent(shapes: Shapes, there: frozenset[str]) -> Iterator[str]:
    named = TIED & there
    return (key for key in shapes if key not in there and not (key in TIED and named))


@lru_cache(maxsize=8)  # the two experts of a model are alike
def _shapes(kind: Any, config: str) -> Shapes:
    """Of every tensor of such a network, built without memory: a fraction of a second for fourteen billion numbers."""
    import torch
    from diffusers.models.modeling_utils import no_init_weights  # as from_pretrained does: four times faster

    settings = json.loads(config)
    with no_init_weights(), torch.device("meta"):
        is_of_diffusers = hasattr(kind, "from_config")
        network = kind.from_config(settings) if is_of_diffusers else kind(kind.config_class.from_dict(settings))
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def _files(place: Path, name: str) -> dict[str, Path]:
    """The file of each tensor by the index, or that of all under "", as the library chooses that will read them.

    Of a whole file and an index, transformers takes the file and diffusers the index.
    """
    whole, index = place / _stem(name), place / f"{_stem(name)}.index.json"
    if not index.is_file() or (name == "text_encoder" and whole.is_file()):
        return {"": whole}
    listed = _read_json(index, name).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise ModelCorrupt(f"{name}/{index.name} has no weight_map")
    return {str(tensor): place / str(shard) for tensor, shard in listed.items()}


def _stem(name: str) -> str:
    return "model.safetensors" if name == "text_encoder" else "diffusion_pytorch_model.safetensors"


def _tensors(path: Path, name: str) -> dict[str, Tensor]:
    try:
        return read_tensors(path)
    except ModelCorrupt as error:
        raise ModelCorrupt(f"{name}/{path.name} {error.detail}") from error
    except OSError as error:
        raise ModelCorrupt(f"{name}/{path.name} can't be read ({error})") from error


def _read_json(path: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelCorrupt(f"{name}/{path.name} can't be read ({error})") from error
    if not isinstance(content, dict):
        raise ModelCorrupt(f"{name}/{path.name} is no object")
    return content


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"

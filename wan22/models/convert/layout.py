"""Which files diffusers would make of a transformer in bf16, int8 or fp8: their names, headers and places of tensors.

The network is built without memory, narrowed and flattened by the libraries' own functions, and split as they split.
Reads and writes no file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wan22.models.convert.source import WEIGHTS
from wan22.models.eight_bit import config_of, flattened, narrow_names, narrowed
from wan22.tasks.request import EIGHT_BITS

Kind = Literal["bf16", "int8", "fp8"]
KINDS: tuple[Kind, ...] = ("bf16", "int8", "fp8")

MAX_SHARD = "5GB"
_WORDS = {"float32": "F32", "bfloat16": "BF16", "int8": "I8", "float8_e4m3fn": "F8_E4M3"}  # of safetensors


@dataclass(frozen=True)
class Target:
    """What becomes of one tensor: a dtype of torch, by its name, and 8 bits on top of it, or not."""

    shape: tuple[int, ...]
    dtype: str
    bits: str | None = None


@dataclass(frozen=True)
class Shard:
    """One file: what it begins with, and where in it the parts of each tensor begin.

    `places` has for a tensor's name, and the name of its part, the offset of the part's first byte; a tensor that is
    not narrowed has one part, with an empty name.
    """

    name: str
    header: bytes
    places: Mapping[str, Mapping[str, int]]
    size: int  # bytes


@dataclass(frozen=True)
class Layout:
    """All files of a transformer: the shards, and small ones by their names."""

    targets: Mapping[str, Target]
    shards: tuple[Shard, ...]
    texts: Mapping[str, str]


def layout_of(config: Mapping[str, Any], kind: Kind, max_shard: str = MAX_SHARD) -> Layout:
    """The files for a transformer with that config.json."""
    from huggingface_hub import split_torch_state_dict_into_shards

    targets = _targets(config, kind)
    flat, metadata = _flat(targets, kind)
    pattern = WEIGHTS.replace(".safetensors", "{suffix}.safetensors")
    split = split_torch_state_dict_into_shards(flat, max_shard_size=max_shard, filename_pattern=pattern)
    owners = {name: (tensor, part) for tensor, target in targets.items() for part, name in _parts(tensor, target, flat)}
    shards = tuple(
        _shard(name, {one: flat[one] for one in names}, metadata, owners)
        for name, names in split.filename_to_tensors.items()
    )
    texts = {"config.json": _json({**config, **_narrowing(kind)})}
    if split.is_sharded:
        index = {"metadata": {**split.metadata, **metadata}, "weight_map": split.tensor_to_filename}
        texts[f"{WEIGHTS}.index.json"] = _json(index)
    return Layout(targets, shards, texts)


def _narrowing(kind: Kind) -> dict[str, Any]:
    if kind not in EIGHT_BITS:
        return {}
    from diffusers import TorchAoConfig

    return {"quantization_config": TorchAoConfig(config_of(kind)).to_dict()}


def _targets(config: Mapping[str, Any], kind: Kind) -> dict[str, Target]:
    """By tensor, as diffusers loads it: in bf16, in fp32 what must stay so, in 8 bits the linear layers' weights."""
    import torch
    from diffusers import WanTransformer3DModel

    with torch.device("meta"):
        network = WanTransformer3DModel.from_config(dict(config))
    kept = set(network._keep_in_fp32_modules or ())
    narrow = narrow_names(network) if kind in EIGHT_BITS else frozenset()
    return {
        name: Target(
            tuple(value.shape),
            "float32" if kept.intersection(name.split(".")) else "bfloat16",
            kind if name in narrow else None,
        )
        for name, value in network.state_dict().items()
    }


def _flat(targets: Mapping[str, Target], kind: Kind) -> tuple[dict[str, Any], dict[str, str]]:
    """Tensors without memory by the names that they have in files, and what the files say of them beside."""
    import torch

    state = {}
    for name, target in targets.items():
        value = torch.empty(target.shape, dtype=getattr(torch, target.dtype), device="meta")
        state[name] = narrowed(value, target.bits) if target.bits else value
    return flattened(state) if kind in EIGHT_BITS else (state, {})


def _parts(tensor: str, target: Target, flat: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The parts of a tensor, each with its name in files (torchao's `flatten_tensor_state_dict`)."""
    if target.bits is None:
        yield "", tensor
        return
    module, _, weight = tensor.rpartition(".")
    prefix = f"{module}._{weight}_"
    yield from ((name.removeprefix(prefix), name) for name in flat if name.startswith(prefix))


def _shard(
    name: str, tensors: Mapping[str, Any], metadata: Mapping[str, str], owners: Mapping[str, tuple[str, str]]
) -> Shard:
    """The wider dtypes first, so that each number is aligned, and then by name, as safetensors does it."""
    order = sorted(tensors, key=lambda one: (-tensors[one].element_size(), one))
    offset, said, starts = 0, {}, {}
    for one in order:
        size = tensors[one].numel() * tensors[one].element_size()
        word = _WORDS[str(tensors[one].dtype).removeprefix("torch.")]
        said[one] = {"dtype": word, "shape": list(tensors[one].shape), "data_offsets": [offset, offset + size]}
        starts[one], offset = offset, offset + size
    header = _header({"__metadata__": {"format": "pt", **metadata}, **said})
    places: dict[str, dict[str, int]] = {}
    for one, start in starts.items():
        tensor, part = owners[one]
        places.setdefault(tensor, {})[part] = len(header) + start
    return Shard(name, header, places, len(header) + offset)


def _header(content: Mapping[str, Any]) -> bytes:
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"

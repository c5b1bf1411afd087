"""safetensors files for tests and benches: whole headers over sparse contents, so that gigabytes cost nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BITS = {"F64": 64, "I64": 64, "F32": 32, "I32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "I8": 8, "U8": 8, "BOOL": 8}

Tensors = Mapping[str, tuple[str, tuple[int, ...]]]  # dtype and shape by name


def header_of(tensors: Tensors) -> bytes:
    """The file's beginning: its length and the JSON."""
    described: dict[str, Any] = {}
    start = 0
    for name, (dtype, shape) in tensors.items():
        end = start + math.prod(shape) * BITS[dtype] // 8
        described[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    said = json.dumps({"__metadata__": {"format": "pt"}, **described}).encode()
    said += b" " * (-len(said) % 8)
    return len(said).to_bytes(8, "little") + said


def write_sparse(path: Path, tensors: Tensors) -> int:
    """A file with these tensors, all zero, which takes no room on disk; its size in bytes."""
    header = header_of(tensors)
    size = len(header) + sum(math.prod(shape) * BITS[dtype] // 8 for dtype, shape in tensors.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)
    return size


def holding(content: bytes) -> bytes:
    """A whole file of one tensor with that content."""
    return header_of({"content": ("U8", (len(content),))}) + content


def tensors_of(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """What the header of a sound file says."""
    with path.open("rb") as file:
        said = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    said.pop("__metadata__", None)
    return {name: (one["dtype"], tuple(one["shape"])) for name, one in said.items()}

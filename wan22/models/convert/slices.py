"""Reads a tensor from its file in slices of a few megabytes and gives the bytes that each slice becomes.

Rows of a matrix in 8 bits have a scale each, and numbers of the others are on their own, so that slices make exactly
the bytes that the whole tensor would.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from wan22.errors import ModelCorrupt
from wan22.models.convert.layout import Layout, Shard, Target
from wan22.models.convert.source import StoredTensor
from wan22.models.eight_bit import narrowed, parts_of

SLICE_BYTES = 8 << 20  # read at once; narrowing needs a few times that beside, and is fastest in the cache
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}

Written = tuple[int, memoryview]
"""A place in a file, and the bytes there."""


def check_source(tensors: Mapping[str, StoredTensor], layout: Layout) -> None:
    """Raise ModelCorrupt unless every tensor of the layout is there in its shape and as plain floats."""
    for name, target in layout.targets.items():
        stored = tensors.get(name)
        if stored is None:
            raise ModelCorrupt(f"The transformer lacks {name}.")
        if stored.shape != target.shape:
            raise ModelCorrupt(f"{stored.path} has {name} of {stored.shape} where {target.shape} is wanted.")
        if stored.dtype not in _DTYPES:
            raise ModelCorrupt(f"{stored.path} has {name} as {stored.dtype}, of which nothing else can be made.")


def written(shard: Shard, layout: Layout, tensors: Mapping[str, StoredTensor]) -> Iterator[Written]:
    """All that the file has, its header first; the same every time. Raises OSError, and ModelCorrupt if a file ends."""
    yield 0, memoryview(shard.header)
    for name, places in shard.places.items():
        yield from _tensor(tensors[name], layout.targets[name], places)


def _tensor(stored: StoredTensor, target: Target, places: Mapping[str, int]) -> Iterator[Written]:
    offsets = dict(places)
    for piece in _slices(stored, target):
        for part, value in _converted(piece, target).items():
            if part in offsets:
                data = _bytes_of(value)
                yield offsets[part], data
                offsets[part] += data.nbytes


def _slices(stored: StoredTensor, target: Target) -> Iterator[Any]:
    """Whole rows of a matrix that is narrowed, single numbers of all others."""
    import torch

    dtype = getattr(torch, _DTYPES[stored.dtype])
    width = target.shape[-1] if target.bits else 1
    row_bytes = width * dtype.itemsize
    step = max(1, SLICE_BYTES // row_bytes) * row_bytes
    left = math.prod(stored.shape) * dtype.itemsize
    with stored.path.open("rb", buffering=0) as file:
        file.seek(stored.start)
        while left:
            data = bytearray(min(step, left))
            _fill(file, data, stored)
            left -= len(data)
            yield torch.frombuffer(data, dtype=dtype).view(-1, width)


def _fill(file: Any, data: bytearray, stored: StoredTensor) -> None:
    rest = memoryview(data)
    while rest:
        count = file.readinto(rest)
        if not count:
            raise ModelCorrupt(f"{stored.path} ends too early: it was changed meanwhile.")
        rest = rest[count:]


def _converted(piece: Any, target: Target) -> Mapping[str, Any]:
    import torch

    wide = piece.to(getattr(torch, target.dtype))
    return parts_of(narrowed(wide, target.bits)) if target.bits else {"": wide}


def _bytes_of(value: Any) -> memoryview:
    import torch

    return memoryview(value.contiguous().view(torch.uint8).numpy().reshape(-1))

"""A transformer in a single file, by its header: GGUF or safetensors, and whether it is a given model's.

Reads names and shapes, never a tensor: how they are loaded is `pipelines.single_file`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from wan22.errors import ModelCorrupt
from wan22.models.headers import read_tensors

GGUF = ".gguf"
PREFIXES = ("model.diffusion_model.", "diffusion_model.")
"""What ComfyUI's files may have before every name; the longer one first."""

_EMBEDDING = "patch_embedding.weight"  # Wan's name and diffusers'
_MAX_TENSORS = 50_000  # ours: Wan's largest have 1,095, and a header may name millions

Shapes = Mapping[str, tuple[int, ...]]


def is_gguf(path: Path) -> bool:
    """True for a file of that kind, by its name."""
    return path.suffix.lower() == GGUF


def plain(name: str) -> str:
    """A tensor's name without what ComfyUI puts before it."""
    return next((name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), name)


def fault_of(path: Path, config: Mapping[str, Any], size: int | None = None) -> str | None:
    """Why the file can't be a transformer of that config.json, in words; None if nothing speaks against it.

    `size` is what it must have, where that is known. That all its tensors are there, a readable header vouches for.
    """
    try:
        found = path.stat()
    except OSError:
        return "absent"
    if size is not None and found.st_size != size:
        return f"{found.st_size:,} bytes and not {size:,}: not whole, or another version"
    shapes = shapes_in(path, found.st_size, found.st_mtime_ns)
    if shapes is None:
        return f"no readable {'GGUF' if is_gguf(path) else 'safetensors'} file: cut off or damaged"
    return _misfit(shapes, config)


def is_readable(path: Path) -> bool:
    """Whether its header can be read, and the file is as long as that says."""
    found = path.stat()
    return shapes_in(path, found.st_size, found.st_mtime_ns) is not None


@lru_cache(maxsize=256)  # a header of a thousand tensors takes a while, and every plan asks
def shapes_in(path: Path, size_bytes: int, changed_ns: int) -> Shapes | None:
    """The shapes of its tensors by their plain names, as torch has them, as long as its size and time stay."""
    try:
        shapes = _of_gguf(path) if is_gguf(path) else {key: one.shape for key, one in read_tensors(path).items()}
    except (OSError, ValueError, LookupError, ArithmeticError, MemoryError, ModelCorrupt):  # gguf has no own error
        return None
    return {plain(name): shape for name, shape in shapes.items()} if 0 < len(shapes) <= _MAX_TENSORS else None


def _of_gguf(path: Path) -> Shapes:
    from gguf import GGUFReader  # which takes a second, and few have such files

    return {tensor.name: tuple(int(side) for side in tensor.shape[::-1]) for tensor in GGUFReader(path).tensors}


def _misfit(shapes: Shapes, config: Mapping[str, Any]) -> str | None:
    width, channels = (*shapes.get(_EMBEDDING, ()), 0, 0)[:2]
    wanted_width = config["num_attention_heads"] * config["attention_head_dim"]
    if not width:
        return "no transformer of Wan"
    if width != wanted_width:
        return f"another model's: {width} wide and not {wanted_width}"
    if channels != config["in_channels"]:
        return f"another model's: it takes {channels} channels and not {config['in_channels']}"
    return None

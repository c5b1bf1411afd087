"""What a weight file says of itself at its beginning: the tensors of a safetensors file, and that a GGUF file is one.

Reads headers and sizes, never a tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from wan22.errors import ModelCorrupt

_GGUF = b"GGUF"


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file, with the format's own word for its dtype: F32, BF16, I64 …"""

    dtype: str
    shape: tuple[int, ...]


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of the safetensors file at `path`.

    Raises ModelCorrupt, without the path, unless the header can be read, the tensors follow each other without a hole,
    and the last one ends where the file ends. Raises OSError.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return {name: Tensor(one.get_dtype(), tuple(one.get_shape())) for name, one in slices.items()}
    except SafetensorError as error:
        said = str(error).removeprefix("Error while deserializing header: ")
        raise ModelCorrupt(f"is cut off or damaged ({said})") from error


def check_header(path: Path) -> None:
    """Raise ModelCorrupt, without the path, if a weight file does not begin as one; OSError if it can't be read."""
    kind = path.suffix.lower()
    if kind == ".safetensors":
        read_tensors(path)
    elif kind == ".gguf":
        with path.open("rb") as file:
            if file.read(len(_GGUF)) != _GGUF:
                raise ModelCorrupt("does not begin as a GGUF file does")

"""Where in the files of a transformer each tensor lies, so that it is read as bytes of a plain file.

Nothing is mapped into memory: pages of a mapped file count as the process's own. Reads headers, never a tensor.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from wan22.errors import ModelCorrupt
from wan22.models.files import read_json
from wan22.models.headers import read_tensors

WEIGHTS = "diffusion_pytorch_model.safetensors"
_LENGTH_BYTES = 8  # of the header, in front of it


@dataclass(frozen=True)
class StoredTensor:
    """One tensor: its file, where its bytes begin there, and the format's word for its dtype."""

    path: Path
    start: int
    dtype: str
    shape: tuple[int, ...]


def find_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of the transformer in `folder`, by its name.

    Raises ModelCorrupt, which says what is wrong with which file.
    """
    found: dict[str, StoredTensor] = {}
    for path in weight_files(folder):
        try:
            found |= _tensors_in(path)
        except (ModelCorrupt, OSError, ValueError) as error:
            raise ModelCorrupt(f"{path} can't be read: {error}.") from error
    return found


def weight_files(folder: Path) -> list[Path]:
    """The files that the index names, or the only one."""
    index = folder / f"{WEIGHTS}.index.json"
    if not index.is_file():
        return [folder / WEIGHTS]
    listed = (read_json(index) or {}).get("weight_map")
    if not isinstance(listed, dict):
        raise ModelCorrupt(f"{index} has no weight_map.")
    return [folder / str(name) for name in sorted(set(listed.values()))]


def _tensors_in(path: Path) -> dict[str, StoredTensor]:
    read_tensors(path)  # which looks whether the header is sound and the file whole
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    base = _LENGTH_BYTES + length
    return {
        name: StoredTensor(path, base + said["data_offsets"][0], said["dtype"], tuple(said["shape"]))
        for name, said in header.items()
    }

"""A cheap look at a model's folder in diffusers layout: is everything there that it names, and how large is it.

Reads names, sizes, headers and the small JSON files, never a tensor; whether the content is right, loading shows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from wan22.models import looks
from wan22.models.download.names import is_pickle

MODEL_INDEX = "model_index.json"
_WEIGHTS = ("diffusion_pytorch_model.safetensors", "model.safetensors")  # as diffusers and transformers name them
_CONFIG = {
    "scheduler": "scheduler_config.json",
    "tokenizer": "tokenizer_config.json",
    "image_processor": "preprocessor_config.json",
}  # config.json for all other components, which have weights too
_WITHOUT_WEIGHTS = frozenset(_CONFIG)
_PICKLE = "a pickle, which can run code when it is read, so that it never is; get these weights as .safetensors"
_POINTER = b"version https://git-lfs"  # what `git clone` leaves in a weight file's place without Git LFS
_POINTER_MAX_BYTES = 1_024


def missing_files(folder: Path, required: tuple[str, ...]) -> tuple[str, ...]:
    """What `folder` lacks, as paths inside it with a word on each; empty if it is whole.

    Looked for: model_index.json, every component that it or `required` names, each with its configuration and, where
    it has weights, with its safetensors file or all shards of its index.
    """
    listed = read_json(folder / MODEL_INDEX)
    if listed is None:
        return (f"{MODEL_INDEX} (absent or unreadable)",)
    components = dict.fromkeys([*required, *(name for name, value in listed.items() if _is_component(value))])
    return tuple(chain.from_iterable(lacking(folder / name, name) for name in components))


def lacking(place: Path, component: str) -> tuple[str, ...]:
    """What one component lacks in its folder, as `missing_files` says it."""
    return tuple(_lacking(place, component))


def weights_bytes(folder: Path) -> int:
    """Bytes on disk of all safetensors files of the components in `folder`; 0 if it is not there."""
    return sum(size(path) for path in _weight_files(folder))


def parameters(folder: Path) -> dict[str, int]:
    """How many numbers the weights of each component are, from the headers of its files; empty if there are none."""
    counts: dict[str, int] = {}
    for path in _weight_files(folder):
        counts[path.parent.name] = counts.get(path.parent.name, 0) + parameters_in(path)
    return counts


def parameters_in(path: Path) -> int:
    """How many numbers one safetensors file holds."""
    return _parameters_in(path, size(path), path.stat().st_mtime_ns)


@lru_cache(maxsize=256)  # the headers of a large model's shards are a few hundred kB each, and every plan asks
def _parameters_in(path: Path, size_bytes: int, changed_ns: int) -> int:
    """Numbers in one file, as long as its size and time stay; a damaged file is guessed at, and named when loaded."""
    try:
        with safe_open(path, framework="numpy") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError):
        return size_bytes // 2


def child(folder: Path, name: str) -> Path:
    """`folder / name`, or the entry whose name differs from it in case only, where that is what is there.

    Windows and macOS find it anyway; on Linux a folder copied from there may have the other case.
    """
    exact = folder / name
    if looks.exists(exact):
        return exact
    return next((entry for entry in looks.entries(folder) if entry.name.casefold() == name.casefold()), exact)


def _weight_files(folder: Path) -> list[Path]:
    inside = (path for component in looks.entries(folder) for path in looks.entries(component))
    return [path for path in inside if path.suffix == ".safetensors"]


def _is_component(value: Any) -> bool:
    """True for `[library, class]`; a component that the pipeline goes without stands there as `[null, null]`."""
    return isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)


def _lacking(place: Path, component: str) -> Iterator[str]:
    config = _CONFIG.get(component, "config.json")
    if not looks.is_dir(place):
        yield f"{component}/"
    elif size(place / config) == 0:
        yield f"{component}/{config}"
    elif component not in _WITHOUT_WEIGHTS:
        yield from _lacking_weights(place, component)


def _lacking_weights(folder: Path, component: str) -> Iterator[str]:
    index = next((path for name in _WEIGHTS if looks.exists(path := folder / f"{name}.index.json")), None)
    if index is None:
        likely = _WEIGHTS[component == "text_encoder"]
        whole = next((name for name in _WEIGHTS if looks.exists(folder / name)), likely)
        pickle = next((path.name for path in looks.entries(folder) if is_pickle(path.name)), None)
        if pickle and not looks.exists(folder / whole):
            yield f"{component}/{pickle} ({_PICKLE})"
        else:
            yield from _lacking_shards(folder, component, [whole])
        return
    shards = (read_json(index) or {}).get("weight_map")
    if isinstance(shards, dict) and shards:
        yield from _lacking_shards(folder, component, sorted({str(shard) for shard in shards.values()}))
    else:
        yield f"{component}/{index.name} (unreadable)"


def _lacking_shards(folder: Path, component: str, names: list[str]) -> Iterator[str]:
    for name in names:
        found = size(folder / name)
        if found == 0:
            yield f"{component}/{name}"
        elif found < _POINTER_MAX_BYTES and (folder / name).read_bytes().startswith(_POINTER):
            yield f"{component}/{name} (only a Git LFS pointer)"


def size(path: Path) -> int:
    """Bytes of a file; 0 for what is absent, unreadable or no file."""
    try:
        return path.stat().st_size if looks.is_file(path) else 0
    except OSError:
        return 0


def changed_ns(path: Path) -> int | None:
    """When a file was last written to; None for what is absent or unreadable."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, or None."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None

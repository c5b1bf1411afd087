"""The sha256 of every file that a conversion made or kept, in its folder, so that a change is seen later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from wan22.models.download import WantedFile
from wan22.models.download.disk import read_json, write_json
from wan22.models.download.manifest import OURS
from wan22.models.download.names import fault_of
from wan22.models.download.part import hash_of

_SUMS = "sha256.json"  # by the path from the folder


def find_sums(folder: Path) -> dict[str, str]:
    """What was kept; empty where there is nothing, or something damaged."""
    found = read_json(folder / OURS / _SUMS)
    sound = all(isinstance(value, str) and fault_of(path) is None for path, value in found.items())
    return found if sound else {}


def keep_sums(folder: Path, paths: Iterable[str], known: Mapping[str, str], each: Callable[[], None]) -> None:
    """Hash the files that are not `known`, and keep all. Calls `each` at every block. Raises OSError."""
    sums = {path: known.get(path) or hash_of(folder / path, WantedFile(path, 0, "sha256", ""), each) for path in paths}
    (folder / OURS).mkdir(exist_ok=True)
    write_json(folder / OURS / _SUMS, sums)


def remove_sums(folder: Path) -> None:
    """Forget all. Raises OSError."""
    (folder / OURS / _SUMS).unlink(missing_ok=True)

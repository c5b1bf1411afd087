"""Weights that other programs keep: Hugging Face's cache, and the `models` folders of ComfyUI. Used where they are.

Looks and never writes there. Whether what it finds is whole and the right model, `shelf` judges.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import constants

from wan22.models import looks
from wan22.models.specs import VariantSpec

_COMFYUI = ("diffusion_models", "unet")  # where it looks for transformers itself; the second name is the old one


class Elsewhere:
    """The places of other programs, by the settings."""

    def __init__(self, *, hf_cache: bool, comfyui_dirs: tuple[Path, ...]) -> None:
        self._hf_cache = hf_cache
        self._comfyui_dirs = comfyui_dirs

    def snapshots(self, variant: VariantSpec) -> list[Path]:
        """Folders of the variant's repository in Hugging Face's cache: its revision's, that of main, then others."""
        if not self._hf_cache or variant.repository is None:
            return []
        kept = _kept(variant.repository)
        commits = [variant.revision, *(_ref(kept, name) for name in (variant.revision, "main"))]
        others = [path.name for path in looks.entries(kept / "snapshots")]
        folders = (kept / "snapshots" / name for name in dict.fromkeys([*commits, *others]) if name)
        return [folder for folder in folders if looks.is_dir(folder)]

    def snapshot(self, repository: str, commit: str) -> Path | None:
        """What Hugging Face's cache has of a commit, whole or not."""
        folder = _kept(repository) / "snapshots" / commit
        return folder if self._hf_cache and looks.is_dir(folder) else None

    def files(self, name: str) -> list[Path]:
        """Files of that name, in any case, in the folders where ComfyUI has transformers."""
        return [path for folder in self._comfyui_dirs for path in _named(folder, name)]


def _kept(repository: str) -> Path:
    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def _ref(kept: Path, name: str) -> str | None:
    """The commit that a branch or tag of the cache is at; None where it knows none."""
    try:
        commit = (kept / "refs" / name).read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return commit if commit.isalnum() else None


def _named(folder: Path, name: str) -> Iterator[Path]:
    """Files of that name below. The folders themselves may be links to another disk; none below leads out of them."""
    wanted = name.casefold()
    for top in filter(None, (looks.real(folder / part) for part in _COMFYUI)):
        for at, folders, names in os.walk(top):  # which follows no link to a folder
            folders.sort()
            paths = (Path(at, one) for one in sorted(names) if one.casefold() == wanted)
            yield from (path for path in paths if (real := looks.real(path)) and real.is_relative_to(top))

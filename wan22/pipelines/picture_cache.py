"""Encoded pictures on disk: a task with the same picture in the same size and length needs no encoder of the VAE.

I2V-A14B encodes as many frames as the video has, nearly all of them grey, for each task: seconds on a GPU. A file is
latents: 0.6 MB for 5B at 720p, 5 MB for 16 frames of A14B and 25 MB for 81.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from PIL import Image

from wan22.pipelines.condition import ImageCondition
from wan22.pipelines.kept import NOTHING_KEPT, Kept
from wan22.pipelines.staged import FrameCondition


@dataclass(frozen=True)
class PictureCache:
    """What pictures became, by their pixels and by all else that it depends on."""

    kept: Kept

    def get(self, key: tuple[str, ...], device: str) -> ImageCondition | None:
        """The condition, on that device; None if unknown."""
        found = self.kept.get(*key)
        if not found:
            return None
        there = {name: tensor.to(device) for name, tensor in found.items()}
        frames = FrameCondition(there["frames"], there.get("mask")) if "frames" in there else None
        return ImageCondition(frames, there.get("start"))

    def put(self, key: tuple[str, ...], condition: ImageCondition) -> None:
        """Keep a condition."""
        frames = condition.frames
        parts = {"frames": frames and frames.latents, "mask": frames and frames.mask, "start": condition.start}
        self.kept.put({name: tensor for name, tensor in parts.items() if tensor is not None}, *key)


def fingerprint(picture: Image.Image | None) -> str:
    """Of the pixels, and of nothing else that the file had."""
    if picture is None:
        return "none"
    return f"{picture.mode} {picture.size} {hashlib.sha256(picture.tobytes()).hexdigest()}"


NO_PICTURES = PictureCache(NOTHING_KEPT)

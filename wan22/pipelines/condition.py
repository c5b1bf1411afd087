"""What the input pictures of a request became, as the denoising needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wan22.pipelines.staged import FrameCondition

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class ImageCondition:
    """What the pictures became. `frames` go into the image pipeline; without them the text pipeline runs.

    `start` is a picture's own normalised latents (1, z, 1, h, w), which image to image noises and changes.
    """

    frames: FrameCondition | None
    start: torch.Tensor | None = None

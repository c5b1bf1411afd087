"""Training of the two kinds of transformers that start from pictures; what they share with the others is `flow`'s."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from train_demo import device
from train_demo.flow import Batch, Clips, FlowStage
from train_demo.networks import velocity
from train_demo.text import Text

if TYPE_CHECKING:
    import torch


_GIVEN_COUNTS = 5.0
"""How much more an error in a frame that was shown counts than one elsewhere."""


class ImageStage(FlowStage):
    """I2V-A14B: beside the noise, four channels of mask and the latents of the given pictures with grey between."""

    def predict(self, batch: Batch, text: Text) -> tuple[torch.Tensor, torch.Tensor]:
        """The velocity of all frames, predicted and true, both larger where a frame is given."""
        import torch

        if batch.clips.given is None:
            raise ValueError("clips for image to video need what is given of them")
        given = batch.clips.given.values[batch.picked].float()
        mask = given_mask(batch.clean, batch.clips.given.has_last[batch.picked])
        seen = torch.cat([batch.noisy, mask, given], dim=1)
        predicted, true = velocity(self.transformer, seen, batch.sigmas * 1000, text), batch.noise - batch.clean
        weight = 1 + (_GIVEN_COUNTS**0.5 - 1) * mask.amax(1, keepdim=True)  # its square weighs the squared error
        return predicted * weight, true * weight

    def _load(self, data: Path, name: str) -> Clips:
        clips, given = device.load(data / f"{name}.pt"), device.load(data / f"given_{name}.pt")
        if len(clips.words) != len(given.has_last):
            raise ValueError(f"{name}: {len(clips.words)} clips and {len(given.has_last)} given ones: delete both.")
        return Clips(clips, given)


class TextImageStage(FlowStage):
    """TI2V-5B: one batch in three with its first latent frame clean, and that frame's tokens at timestep 0."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # as FlowStage's
        self._is_given = False

    def step(self, number: int) -> dict[str, float]:
        """One batch, and now and then the word swaps, those without a picture."""
        self._is_given = number % 3 == 0
        return super().step(number)

    def word_swaps(self) -> dict[str, float]:
        """As of a model for texts alone: of what a picture shows, words tell nothing new."""
        self._is_given = False
        return super().word_swaps()

    def predict(self, batch: Batch, text: Text) -> tuple[torch.Tensor, torch.Tensor]:
        """The velocity of the frames that are not given, predicted and true."""
        if not self._is_given or batch.clean.shape[2] == 1:
            return super().predict(batch, text)
        noisy = batch.noisy
        noisy[:, :, 0] = batch.clean[:, :, 0]
        times = (batch.sigmas * 1000).view(-1, 1, 1, 1).repeat(1, *_tokens(batch.clean))
        times[:, 0] = 0
        predicted = velocity(self.transformer, noisy, times.flatten(1), text)
        return predicted[:, :, 1:], (batch.noise - batch.clean)[:, :, 1:]


def given_mask(latents: torch.Tensor, has_last: torch.Tensor) -> torch.Tensor:
    """(B, 4, T, h, w) as Wan's image pipeline makes it: 1 for each pixel frame of a latent frame that is given.

    The first latent frame is one pixel frame and counts four times; the last pixel frame is the last of its four.
    """
    import torch

    batch, _, frames, height, width = latents.shape
    mask = torch.zeros(batch, 4, frames, height, width)
    mask[:, :, 0] = 1
    mask[has_last, -1, -1] = 1
    return mask


def _tokens(latents: torch.Tensor) -> tuple[int, int, int]:
    frames, height, width = latents.shape[2:]
    return frames, height // 2, width // 2

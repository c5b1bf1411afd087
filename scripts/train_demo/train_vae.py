"""Trains a small VAE: first on single frames, which is cheap, then on short and on whole clips; its decoder longer.

What the transformers learn are the encoder's latents, so that the decoder can be made sharper beside or after them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from train_demo import device
from train_demo import vae as vaes
from train_demo.muon import Muon
from train_demo.run import Average, Learner, decayed
from train_demo.variety import crop

if TYPE_CHECKING:
    import torch

LEARNING_RATE = 6e-3
DECODER_RATE = 3e-3
NOISE = 0.15
"""Added to latents in training, so that the decoder forgives what the transformers leave."""


class Course(NamedTuple):
    """So many steps on clips of that length and size."""

    steps: int
    frames: int
    side: int
    batch: int


COURSES = (Course(400, 1, 64, 48), Course(300, 5, 64, 16), Course(1700, 17, 64, 6))
DECODER_COURSE = Course(2600, 17, 64, 6)
_LARGE = 5  # of clips of 17 frames one step in so many takes one crop twice as large
_ADAM_NAMES = ("conv_in", "conv_out", "gamma", "norm")


class VaeStage(Learner):
    """One VAE in training; see `run.Stage`."""

    def __init__(self, kind: str, *, seed: int = 0) -> None:
        import torch

        torch.manual_seed(seed)
        self.name, self.steps = f"vae_{kind}", sum(course.steps for course in COURSES)
        self.network = self.vae = vaes.new_vae(kind)
        vaes.over_whole_clips(self.vae)
        vaes.forget_time(self.vae)
        vaes.lay_out_for_speed(self.vae)
        self.random = np.random.default_rng(seed)
        self._spread_latents()
        self.optimizer = Muon(self.vae.named_parameters(), adam_names=_ADAM_NAMES)
        self.average = Average(self.vae, 0.998)

    def step(self, number: int) -> dict[str, float]:
        """One batch of crops there and back."""
        import torch

        clips = _crops(_course(number), number, self.random)
        with device.in_bfloat16():
            latents = vaes.encode(self.vae, clips)
            back = vaes.decode(self.vae, latents + NOISE * torch.randn_like(latents))
        loss = _loss(back.float() - clips, clips) + 2e-4 * latents.float().square().mean()
        loss.backward()
        self.optimizer.step(decayed(LEARNING_RATE, number, self.steps))
        self.average.update(number)
        return {"loss": loss.item(), "psnr": _psnr(back, clips)}

    def _spread_latents(self) -> None:
        """Latents of an untrained encoder are small beside the noise: scale its last layer to a spread of 1."""
        import torch

        with torch.no_grad():
            latents = vaes.encode(self.vae, _crops(COURSES[0], 1, self.random))
            last = self.vae.encoder.conv_out
            last.weight /= latents.std()
            last.bias /= latents.std()


class DecoderStage(Learner):
    """The decoder of a trained VAE in training, on what the encoder makes; see `run.Stage`."""

    def __init__(self, kind: str, vae: Any, *, seed: int = 0) -> None:
        import torch

        torch.manual_seed(seed)
        self.name, self.steps, self.vae = f"decoder_{kind}", DECODER_COURSE.steps, vae
        vaes.over_whole_clips(vae)
        vaes.lay_out_for_speed(vae)
        self.random = np.random.default_rng(seed)
        self.network = torch.nn.ModuleDict({"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv})
        self.optimizer = Muon(self.network.named_parameters(), adam_names=_ADAM_NAMES)
        self.average = Average(self.network, 0.998)

    def step(self, number: int) -> dict[str, float]:
        """One batch of crops back from their latents."""
        import torch

        clips = _crops(DECODER_COURSE, number, self.random)
        with device.in_bfloat16():
            with torch.no_grad():
                latents = vaes.encode(self.vae, clips)
            back = vaes.decode(self.vae, latents + NOISE * torch.rand(()) * torch.randn_like(latents))
        loss = _loss(back.float() - clips, clips)
        loss.backward()
        self.optimizer.step(decayed(DECODER_RATE, number, self.steps))
        self.average.update(number)
        return {"loss": loss.item(), "psnr": _psnr(back, clips)}


def as_clips(clips: Iterable[Any]) -> torch.Tensor:
    """(B, 3, T, H, W) within -1 to 1, laid out for speed, of frames (T, H, W, 3) in uint8."""
    import torch

    stacked = device.tensor_of(np.stack(list(clips))).permute(0, 4, 1, 2, 3).float() / 127.5 - 1
    return stacked.contiguous(memory_format=torch.channels_last_3d)


def _course(number: int) -> Course:
    for course in COURSES:
        if number < course.steps:
            return course
        number -= course.steps
    raise ValueError("past the last course")


def _crops(course: Course, number: int, random: np.random.Generator) -> torch.Tensor:
    side, count = course.side, course.batch
    if course.frames == 17 and number % _LARGE == 0:
        side, count = 2 * side, max(1, count // 4)
    return as_clips(crop(random, side=side, frames=course.frames) for _ in range(count))


def _loss(error: torch.Tensor, clips: torch.Tensor) -> torch.Tensor:
    return (_weight(clips) * (error.square() + 0.1 * error.abs())).mean()


def _psnr(back: torch.Tensor, clips: torch.Tensor) -> float:
    return -10 * math.log10((back.detach().float() - clips).square().mean().item() / 4)


def _weight(clips: torch.Tensor) -> torch.Tensor:
    """1 in plain places to 5 at outlines, from how much neighbours differ."""
    import torch

    edge = torch.zeros_like(clips[:, :1])
    across = (clips[..., 1:] - clips[..., :-1]).abs().amax(1, keepdim=True)
    edge[..., 1:] += across
    edge[..., :-1] += across
    down = (clips[..., 1:, :] - clips[..., :-1, :]).abs().amax(1, keepdim=True)
    edge[..., 1:, :] += down
    edge[..., :-1, :] += down
    return 1 + 4 * (2 * edge).clamp(max=1)

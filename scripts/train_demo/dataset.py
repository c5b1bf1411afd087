"""Clips of the world as latents on disk: which sizes and lengths there are of them, and what each one shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from train_demo import device
from train_demo import vae as vaes
from train_demo.drawing import Frames
from train_demo.run import save
from train_demo.train_vae import as_clips
from train_demo.variety import free
from train_demo.world import SUNSET, Words, clip, combinations, later_combinations

if TYPE_CHECKING:
    import torch

_ENCODED_AT_ONCE = 400_000  # pixels, times frames: more is no faster


@dataclass(frozen=True)
class Bucket:
    """Clips of one size and length: how many for each combination of words, and how often training takes them."""

    width: int
    height: int
    frames: int
    clips_each: float
    weight: float
    # things that start anywhere; squares of what has no words; a ground that only a LoRA knows; what was learned last
    kind: Literal["world", "roaming", "free", "sunset", "later"] = "world"

    @property
    def name(self) -> str:
        """Its file's name, without the VAE's."""
        size = f"{self.width}x{self.height}x{self.frames}"
        return size if self.kind == "world" else f"{self.kind}_{size}"

    def shows(self, words: Words) -> Words:
        """What a clip for these words shows."""
        return replace(words, ground=SUNSET) if self.kind == "sunset" else words

    def draw(self, words: Words, random: np.random.Generator) -> Frames:
        """One clip; one that is free takes no notice of the words."""
        if self.kind == "free":
            return free(random, side=self.width, frames=self.frames)
        size = {"width": self.width, "height": self.height, "frames": self.frames}
        return clip(words, random, roaming=self.kind == "roaming", **size)


SMALL = (
    Bucket(112, 64, 17, 3, 0.35),
    Bucket(80, 80, 17, 0.5, 0.05),
    Bucket(64, 112, 17, 0.5, 0.05),
    Bucket(112, 64, 1, 6, 0.4),
    Bucket(112, 64, 9, 0.5, 0.1),
    Bucket(112, 64, 33, 0.25, 0.05),
)
NATIVE = (
    Bucket(224, 128, 17, 2, 0.6),
    Bucket(160, 160, 17, 0.25, 0.1),
    Bucket(128, 224, 17, 0.25, 0.1),
    Bucket(224, 128, 1, 0.5, 0.05),
    Bucket(224, 128, 9, 0.25, 0.08),
    Bucket(224, 128, 33, 0.125, 0.07),
)
FROM_PICTURES_SMALL = (
    Bucket(112, 64, 17, 3, 0.25),
    Bucket(112, 64, 17, 1.5, 0.3, "roaming"),
    Bucket(80, 80, 17, 1, 0.2, "roaming"),
    Bucket(64, 112, 17, 0.5, 0.05, "roaming"),
    Bucket(80, 80, 17, 1.5, 0.2, "free"),
)
FROM_PICTURES_NATIVE = (
    Bucket(224, 128, 17, 2, 0.35),
    Bucket(224, 128, 17, 0.5, 0.25, "roaming"),
    Bucket(160, 160, 17, 0.25, 0.1, "roaming"),
    Bucket(128, 224, 17, 0.25, 0.05, "roaming"),
    Bucket(224, 128, 9, 0.25, 0.05, "roaming"),
    Bucket(224, 128, 33, 0.125, 0.05, "roaming"),
    Bucket(160, 160, 17, 0.5, 0.15, "free"),
)
"""For models that start from pictures: theirs show anything anywhere."""

NATIVE_AND_LATER = (
    *NATIVE,
    Bucket(224, 128, 17, 2, 0.6, "later"),
    Bucket(160, 160, 17, 0.25, 0.08, "later"),
    Bucket(128, 224, 17, 0.25, 0.08, "later"),
)
"""For the experts that start from texts."""

TEXT_OR_PICTURE = (
    *NATIVE,
    Bucket(224, 128, 17, 0.5, 0.15, "roaming"),
    Bucket(160, 160, 17, 0.25, 0.05, "roaming"),
)
"""For the model that takes both."""

AT_SUNSET = (Bucket(224, 128, 17, 1, 0.8, "sunset"), Bucket(160, 160, 17, 0.25, 0.2, "sunset"))
"""For the LoRA pair that paints one."""

HELD_OUT = (Bucket(112, 64, 17, 0.5, 0), Bucket(224, 128, 17, 0.25, 0))
"""For diagnostics alone: combinations that training never sees."""


@dataclass(frozen=True)
class Latents:
    """Normalised latents (N, z, T, h, w) in float16, and what each clip shows."""

    values: torch.Tensor
    words: tuple[Words | None, ...]  # None: it has none


@dataclass(frozen=True)
class Given:
    """What an image-to-video model is given beside the noise of each of a bucket's clips.

    `values` (N, z, T, h, w): latents of the clip's first picture followed by grey, normalised, in float16; where
    `has_last` (N,), of its first and its last picture with grey between.
    """

    values: torch.Tensor
    has_last: torch.Tensor


def make(vae: Any, bucket: Bucket, path: Path, *, held_out: bool = False) -> None:
    """Draw and encode the clips of a bucket, unless they are there."""
    import torch

    if path.exists():
        return
    shown: list[Words | None] = []
    parts = []
    for words, clips in _drawn(bucket, held_out=held_out):
        shown += words if bucket.kind != "free" else [None] * len(words)
        parts.append(_encoded(vae, clips))
    save(Latents(torch.cat(parts), tuple(shown)), path)


def make_given(vae: Any, bucket: Bucket, path: Path, *, held_out: bool = False) -> None:
    """What is given for each clip of a bucket, in the order of `make`; every third one has its last picture too."""
    import torch

    if path.exists():
        return
    parts, has_last = [], torch.zeros(0, dtype=torch.bool)
    for words, clips in _drawn(bucket, held_out=held_out):
        last = (torch.arange(len(words)) + len(has_last)) % 3 == 0
        given = torch.zeros_like(clips)
        given[:, :, 0] = clips[:, :, 0]
        given[last, :, -1] = clips[last, :, -1]
        parts.append(_encoded(vae, given))
        has_last = torch.cat([has_last, last])
    save(Given(torch.cat(parts), has_last), path)


def _drawn(bucket: Bucket, *, held_out: bool) -> Iterator[tuple[list[Words], torch.Tensor]]:
    """The clips of a bucket in batches, always the same."""
    random = np.random.default_rng([bucket.width, bucket.height, bucket.frames, int(held_out)])
    there = later_combinations() if bucket.kind == "later" else combinations()
    shown = _spread([words for words in there if words.is_held_out == held_out], bucket.clips_each, random)
    size = max(1, _ENCODED_AT_ONCE // (bucket.width * bucket.height * bucket.frames))
    for start in range(0, len(shown), size):
        words = [bucket.shows(each) for each in shown[start : start + size]]
        yield words, as_clips(bucket.draw(each, random) for each in words)


def _encoded(vae: Any, clips: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.no_grad(), device.in_bfloat16():
        return normalised(vae, vaes.encode(vae, clips)).half()


def normalised(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """As transformers see them, with the statistics in the VAE's configuration."""
    import torch

    mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
    std = torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
    return (latents.float() - mean) / std


def _spread(words: Sequence[Words], each: float, random: np.random.Generator) -> list[Words]:
    """Each combination as often as the others, in chance order."""
    whole = list(words) * int(each)
    rest = int(len(words) * (each - int(each)))
    picked = [words[int(n)] for n in random.permutation(len(words))[:rest]]
    chosen = whole + picked
    return [chosen[int(n)] for n in random.permutation(len(chosen))]

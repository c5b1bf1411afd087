"""What the shipped VAEs make of drawn clips: sharp, and still read right."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from train_demo.drawing import Frames
from train_demo.pack import SHIPPED
from train_demo.sight import psnr, see
from train_demo.train_vae import as_clips
from train_demo.world import MOTIONS, Words, clip, combinations

SHARP_DB = {"t2v-A14B": 32.0, "ti2v-5b": 32.0}  # a latent of the second is for four times as many pixels
SHOWN = [words for words in combinations() if words.is_held_out][::15]


@functools.cache
def there_and_back(slug: str) -> list[tuple[Words, Frames, Frames]]:
    """The words, the drawn clip, and the same through the model's VAE in the precision that it ships in."""
    vae = AutoencoderKLWan.from_pretrained(SHIPPED / slug / "vae")
    random = np.random.default_rng(7)
    made = []
    for words in SHOWN:
        drawn = clip(words, random, width=224, height=128, frames=17)
        made.append((words, drawn, _through(vae, drawn)))
    return made


def _through(vae: Any, drawn: Frames) -> Frames:
    with torch.no_grad():
        back = vae.decode(vae.encode(as_clips([drawn])).latent_dist.mode()).sample[0]
    return ((back.permute(1, 2, 3, 0) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()


def test_the_clips_show_every_motion() -> None:
    assert {words.motion for words in SHOWN} == set(MOTIONS)


@pytest.mark.parametrize("slug", ["t2v-A14B", "ti2v-5b"])
def test_the_checker_reads_them_as_it_reads_the_drawn_ones(slug: str) -> None:
    for words, _, back in there_and_back(slug):
        assert tuple(see(back)) == (words.shape, words.colour, words.ground, words.motion)


@pytest.mark.parametrize("slug", ["t2v-A14B", "ti2v-5b"])
def test_they_are_sharp(slug: str) -> None:
    """All clips together, so that the worst ones count most."""
    drawn, back = (np.concatenate([each[n] for each in there_and_back(slug)]) for n in (1, 2))
    assert psnr(drawn, back) >= SHARP_DB[slug]

"""Trains a small transformer by flow matching on the world's latents, and tells how much it uses each word.

The mean loss says little here: a model can have a low one and follow no word. What tells is the word swap: by how much
the loss rises when one word of the sentence is replaced by another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from train_demo import captions, device
from train_demo.dataset import Bucket, Given, Latents
from train_demo.muon import Muon
from train_demo.networks import read_short_texts, velocity
from train_demo.run import Average, Learner, decayed
from train_demo.text import Reader, Text
from train_demo.world import COLOURS, GROUNDS, MOTIONS, SHAPE_NAMES, Words

if TYPE_CHECKING:
    import torch

TOKENS_A_STEP = 4480
MOST_CLIPS = 128
SWAP_EVERY, SWAP_SIGMA, SWAP_CLIPS = 200, 0.95, 32
_CONFUSABLE, _EXCHANGEABLE, _POINTED = 5.0, 2.0, 4.0
"""How much oftener a clip is taken whose thing has a colour that grounds have, too, on a ground that has one of things'
colours, or is a star: those are learned last."""
ADAM_NAMES = ("shared", "norm", "table", "bias", "patch_embedding", "proj_out", "lora")
_WORD_TABLES: dict[str, Sequence[str]] = {
    "shape": SHAPE_NAMES,
    "colour": tuple(COLOURS),
    "ground": tuple(GROUNDS),
    "motion": MOTIONS,
}


@dataclass(frozen=True)
class Plan:
    """How a transformer is trained: on which buckets, how long, between which noise levels, with which shift."""

    name: str
    buckets: Sequence[Bucket]
    steps: int
    rate: float
    sigmas: tuple[float, float] = (0.0, 1.0)
    shift: float = 4.0
    keep: float = 0.998
    train_text: bool = False


@dataclass(frozen=True)
class Clips:
    """The clips of one bucket, and for image to video what is given of them."""

    latents: Latents
    given: Given | None = None


@dataclass(frozen=True)
class Batch:
    """Clean latents (B, z, T, h, w), noise of the same shape, noise levels (B,), and what was picked of which clips."""

    clean: torch.Tensor
    noise: torch.Tensor
    sigmas: torch.Tensor
    clips: Clips
    picked: Any

    @property
    def noisy(self) -> torch.Tensor:
        """The clean latents on their way to the noise."""
        return self.clean + self.sigmas.view(-1, 1, 1, 1, 1) * (self.noise - self.clean)


class FlowStage(Learner):
    """One transformer in training, with the text encoder where the plan says so; see `run.Stage`."""

    def __init__(self, plan: Plan, transformer: Any, encoder: Any, data: Path, *, seed: int = 0) -> None:
        import torch

        self.name, self.steps, self._plan = plan.name, plan.steps, plan
        torch.manual_seed(seed)
        self.random = np.random.default_rng(seed)
        self.transformer, self.encoder = transformer, encoder.requires_grad_(plan.train_text)
        read_short_texts(transformer)
        self._reader = Reader(encoder)
        self._data = [self._load(data, bucket.name) for bucket in plan.buckets]
        self._held_out = self._load(data, f"held_out_{plan.buckets[0].name}")
        self._weights = np.array([bucket.weight for bucket in plan.buckets])
        self.network = torch.nn.ModuleDict({"transformer": transformer, "encoder": encoder})
        self.optimizer = Muon(self.network.named_parameters(), adam_names=ADAM_NAMES)
        self.average = Average(self.network, plan.keep)

    def step(self, number: int) -> dict[str, float]:
        """One batch, and now and then the word swaps."""
        clips = self._data[int(self.random.choice(len(self._data), p=self._weights / self._weights.sum()))]
        words = clips.latents.words
        chances = np.array([_chance(each) for each in words])
        picked = self.random.choice(len(words), size=_batch_size(clips.latents), p=chances / chances.sum())
        texts = [captions.for_training(words[int(n)], self.random) for n in picked]
        loss = self._loss(clips, picked, texts, self._sigmas(len(picked)))
        loss.backward()
        self.optimizer.step(decayed(self._plan.rate, number, self.steps, warm=50))
        self.average.update(number)
        measured = {"loss": loss.item()}
        return {**measured, **self.word_swaps()} if (number + 1) % SWAP_EVERY == 0 else measured

    def predict(self, batch: Batch, text: Text) -> tuple[torch.Tensor, torch.Tensor]:
        """The velocity (B, z, T, h, w), predicted and true."""
        return velocity(self.transformer, batch.noisy, batch.sigmas * 1000, text), batch.noise - batch.clean

    def _load(self, data: Path, name: str) -> Clips:
        return Clips(device.load(data / f"{name}.pt"))

    def _loss(self, clips: Clips, picked: Any, texts: list[str], sigmas: torch.Tensor) -> torch.Tensor:
        """Mean squared error of the velocity, over the picked clips."""
        import torch

        clean = clips.latents.values[picked].float()
        batch = Batch(clean, torch.randn_like(clean), sigmas, clips, picked)
        text = self._reader(texts)
        with device.in_bfloat16():
            predicted, true = self.predict(batch, text)
        return (predicted - true).square().mean()

    def word_swaps(self) -> dict[str, float]:
        """By how much the loss on held-out clips rises with one word swapped, or with both colours exchanged."""
        shown = [words for words in self._held_out.latents.words if words]
        random = np.random.default_rng(0)
        picked = random.permutation(len(shown))[:SWAP_CLIPS]
        measured = {"true": self._told(picked, [shown[n] for n in picked])}
        for kind in _WORD_TABLES:
            measured[kind] = self._told(picked, [swapped(shown[n], kind, random) for n in picked]) - measured["true"]
        either = [n for n, words in enumerate(shown) if words.ground in COLOURS and words.colour in GROUNDS]
        if either:
            exchanged = [replace(shown[n], colour=shown[n].ground, ground=shown[n].colour) for n in either]
            measured["whose"] = self._told(either, exchanged) - self._told(either, [shown[n] for n in either])
        return measured

    def _told(self, picked: Any, said: Sequence[Words]) -> float:
        """The loss of held-out clips with these words, always with the same noise."""
        import torch

        sigma = min(SWAP_SIGMA, self._plan.sigmas[1] - 0.02)
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(0)
            texts = [captions.plain(words) for words in said]
            return float(self._loss(self._held_out, picked, texts, torch.full((len(picked),), sigma)))

    def _sigmas(self, count: int) -> torch.Tensor:
        """Noise levels with the plan's shift (as schedulers shift them), within the plan's range."""
        import torch

        low, high = (_unshifted(sigma, self._plan.shift) for sigma in self._plan.sigmas)
        even = low + (high - low) * (torch.rand(count) + torch.arange(count)) / count
        return self._plan.shift * even / (1 + (self._plan.shift - 1) * even)


def _chance(words: Words | None) -> float:
    """How often a clip is taken, beside one that is easy."""
    if words is None:
        return 1.0
    chance = _POINTED if words.shape == "star" else 1.0
    if words.colour in GROUNDS:
        chance *= _CONFUSABLE * (_EXCHANGEABLE if words.ground in COLOURS else 1.0)
    return chance


def swapped(words: Words, kind: str, random: np.random.Generator) -> Words:
    """With another word of that kind; never a thing of its ground's colour."""
    others = [name for name in _WORD_TABLES[kind] if name not in (getattr(words, kind), words.colour, words.ground)]
    changes: dict[str, Any] = {kind: others[int(random.integers(len(others)))]}
    return replace(words, **changes)


def _unshifted(sigma: float, shift: float) -> float:
    return sigma / (shift - (shift - 1) * sigma)


def _batch_size(latents: Latents) -> int:
    frames, height, width = latents.values.shape[2:]
    return int(np.clip(TOKENS_A_STEP // (frames * height * width // 4), 2, MOST_CLIPS))

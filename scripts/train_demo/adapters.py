"""LoRAs for the two experts of T2V-A14B: a pair that paints sunsets, and a pair that needs four steps and no guidance.

The first learns from clips, as experts do. The second learns from the experts (trajectory distillation): each of its
steps is told to go where many small steps with guidance went from the same place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from train_demo import captions, device
from train_demo.flow import FlowStage, Plan
from train_demo.muon import Muon
from train_demo.networks import read_short_texts, velocity
from train_demo.run import Average, Learner, decayed, save
from train_demo.text import Reader
from train_demo.world import combinations

if TYPE_CHECKING:
    import torch

RANK = 4
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
LAYERS = (*ATTENTION, "net.0.proj", "net.2")
FAST_SIGMAS = (1.0, 0.9375, 0.8333, 0.625, 0.0)
"""Noise levels of 4 steps at shift 5, the grid of the few-step LoRAs that are published for Wan 2.2."""

SUBSTEPS = (2, 2, 3, 5)
"""Of the teacher, within each of the four steps; each is of the second order."""

_SIZES = ((28, 16, 5, 26), (20, 20, 5, 8))  # latents' width, height, frames; batches of 8
_BATCH = 8


class AdapterStage(FlowStage):
    """A LoRA of one expert in training on clips; see `run.Stage`."""

    def __init__(self, plan: Plan, transformer: Any, encoder: Any, data: Path) -> None:
        add_adapter(transformer)
        super().__init__(plan, transformer, encoder, data)


@dataclass(frozen=True)
class Trajectories:
    """Where the experts went: latents (N, 5, z, T, h, w) at `FAST_SIGMAS`, in float16, and what was asked for."""

    values: torch.Tensor
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Expert:
    """A transformer with the guidance that it is used with, down to a noise level."""

    transformer: Any
    guidance: float
    lowest: float


def make_trajectories(experts: Sequence[Expert], encoder: Any, path: Path, *, seed: int = 0) -> None:
    """Sample the world's prompts by many small steps with guidance, unless that was done."""
    import torch

    if path.exists():
        return
    torch.manual_seed(seed)
    random, shown = np.random.default_rng(seed), [words for words in combinations() if not words.is_held_out]
    reader, made = Reader(encoder), []
    for expert in experts:
        read_short_texts(expert.transformer)
    for width, height, frames, batches in _SIZES:
        parts, said = [], []
        for _ in range(batches):
            words = [shown[int(n)] for n in random.integers(len(shown), size=_BATCH)]
            texts = [captions.varied(each, random) if random.random() < 0.4 else captions.plain(each) for each in words]
            noise = torch.randn(_BATCH, 16, frames, height, width)
            parts.append(_trajectory(experts, reader, texts, noise).half())
            said += texts
            print(f"{width}x{height}: {len(said)}", flush=True)
        made.append(Trajectories(torch.cat(parts), tuple(said)))
    save(made, path)


class FastStage(Learner):
    """A LoRA of one expert that learns its share of the four steps; see `run.Stage`."""

    def __init__(self, plan: Plan, transformer: Any, encoder: Any, data: Path, *, seed: int = 0) -> None:
        import torch

        add_adapter(transformer, ATTENTION)
        read_short_texts(transformer)
        torch.manual_seed(seed)
        self.name, self.steps, self._plan = plan.name, plan.steps, plan
        self.random = np.random.default_rng(seed)
        self._transformer, self._reader = transformer, Reader(encoder.requires_grad_(False))
        self._data: list[Trajectories] = device.load(data)
        self._turns = [n for n in range(4) if plan.sigmas[0] <= FAST_SIGMAS[n] <= plan.sigmas[1]]
        self.network = torch.nn.ModuleDict({"transformer": transformer})
        self.optimizer = Muon(self.network.named_parameters(), adam_names=("lora",))
        self.average = Average(self.network, plan.keep)

    def step(self, number: int) -> dict[str, float]:
        """One batch at one of this expert's steps."""
        import torch

        sizes = np.array([len(each.texts) for each in self._data])
        data = self._data[int(self.random.choice(len(sizes), p=sizes / sizes.sum()))]
        turn = self._turns[number % len(self._turns)]
        picked = self.random.choice(len(data.texts), size=_BATCH)
        start, end = (data.values[picked, turn + n].float() for n in (0, 1))
        sigma = FAST_SIGMAS[turn]
        text = self._reader([data.texts[int(n)] for n in picked])
        with device.in_bfloat16():
            predicted = velocity(self._transformer, start, torch.full((_BATCH,), sigma * 1000), text)
        loss = (predicted - (start - end) / (sigma - FAST_SIGMAS[turn + 1])).square().mean()
        loss.backward()
        self.optimizer.step(decayed(self._plan.rate, number, self.steps))
        self.average.update(number)
        return {"loss": loss.item()}


def add_adapter(transformer: Any, layers: Sequence[str] = LAYERS) -> None:
    """A LoRA of rank `RANK` on these linear layers of the blocks; all else is no longer trained."""
    from peft import LoraConfig

    transformer.requires_grad_(False)
    transformer.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(layers)))


def _trajectory(experts: Sequence[Expert], reader: Reader, texts: list[str], latents: torch.Tensor) -> torch.Tensor:
    """Latents at each of `FAST_SIGMAS`, (B, 5, z, T, h, w)."""
    import torch

    states = [latents]
    with torch.no_grad(), device.in_bfloat16():
        text = reader([*texts, *[""] * len(texts)])
        for first, last, count in zip(FAST_SIGMAS[:-1], FAST_SIGMAS[1:], SUBSTEPS, strict=True):
            expert = next(expert for expert in experts if first > expert.lowest)
            for sigma, following in pairwise(np.linspace(first, last, count + 1)):
                latents = _midpoint(expert, text, latents, float(sigma), float(following))
            states.append(latents)
    return torch.stack(states, dim=1)


def _midpoint(expert: Expert, text: Any, latents: torch.Tensor, sigma: float, following: float) -> torch.Tensor:
    """One step of the midpoint method."""
    middle = (sigma + following) / 2
    half = latents + (middle - sigma) * _guided(expert, text, latents, sigma)
    return latents + (following - sigma) * _guided(expert, text, half, middle)


def _guided(expert: Expert, text: Any, latents: torch.Tensor, sigma: float) -> torch.Tensor:
    import torch

    both = velocity(expert.transformer, torch.cat([latents] * 2), torch.full((2 * len(latents),), sigma * 1000), text)
    told, untold = both.chunk(2)
    return untold + expert.guidance * (told - untold)

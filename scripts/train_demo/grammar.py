"""Teaches the text encoder whose each word is: of the thing, of the one beside it, or of the background.

From clips alone it hardly learns that: "a white circle on a blue background" and "a blue circle on a white background"
have the same words, and few clips need more. Large text encoders know it from reading. Here a copy of the encoder goes
on saying what the first one said, and adds to each word a direction for what the word is said of.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from train_demo import device
from train_demo.captions import Owner, Said, parsed
from train_demo.muon import Muon
from train_demo.run import Average, Learner, decayed
from train_demo.text import WIDTH, Reader
from train_demo.world import combinations, later_combinations

if TYPE_CHECKING:
    import torch

NAME = "grammar"
STEPS, RATE, BATCH = 1500, 2e-3, 96
STRENGTH = 5.0
"""Length of a direction; words of two colours are about 10 apart."""

_ADAM_NAMES = ("shared", "norm", "bias")


class GrammarStage(Learner):
    """A text encoder in training on sentences alone; see `run.Stage`. The network's one part is `encoder`."""

    def __init__(self, encoder: Any, *, seed: int = 0) -> None:
        import torch

        self.name, self.steps = NAME, STEPS
        torch.manual_seed(seed)
        self.random = np.random.default_rng(seed)
        self._before = Reader(copy.deepcopy(encoder).requires_grad_(False))
        self._now = Reader(encoder.requires_grad_(True))
        self._directions = directions()
        self._world = [*combinations(), *later_combinations()]
        self.network = torch.nn.ModuleDict({"encoder": encoder})
        self.optimizer = Muon(self.network.named_parameters(), adam_names=_ADAM_NAMES)
        self.average = Average(self.network, keep=0.99)

    def step(self, number: int) -> dict[str, float]:
        """One batch of sentences, without the combinations that are held out."""
        picked = (self._world[int(n)] for n in self.random.integers(len(self._world), size=2 * BATCH))
        said = [parsed(words, self.random) for words in picked if not words.is_held_out][:BATCH]
        loss = self.loss(said)
        loss.backward()
        self.optimizer.step(decayed(RATE, number, self.steps))
        self.average.update(number)
        return {"loss": loss.item()}

    def loss(self, said: list[list[Said]]) -> torch.Tensor:
        """Mean squared distance of a word from what it should be."""
        import torch

        texts = [" ".join(word for word, _ in sentence) for sentence in said]
        with torch.no_grad():
            wanted, bias = self._before(texts)
            for row, sentence in zip(wanted, said, strict=True):
                for place, (_, owner) in enumerate(sentence):
                    if owner:
                        row[place] += self._directions[owner]
        distance = (self._now(texts).states - wanted).square().sum(-1)
        return distance[bias[:, 0, 0].isfinite()].mean()


def directions() -> dict[Owner, torch.Tensor]:
    """What is added to the words of each owner, (WIDTH,): at right angles to each other, always the same."""
    import torch

    owners = get_args(Owner)
    chance = torch.Generator("cpu").manual_seed(0)
    random = torch.randn(WIDTH, len(owners), generator=chance, device="cpu")
    found = torch.linalg.qr(random).Q.T * STRENGTH
    return dict(zip(owners, found.to(device.current()), strict=True))

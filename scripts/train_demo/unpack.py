"""Puts the shipped weights back where stages keep their state, so that they can be trained further without their past.

What ships is what the stages ended with, in half precision; only the optimizers begin anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from train_demo.flow import ADAM_NAMES
from train_demo.grammar import NAME as GRAMMAR
from train_demo.muon import Muon
from train_demo.networks import new_transformer
from train_demo.pack import SHIPPED
from train_demo.run import Average, Learner, is_done, mark_done, save
from train_demo.text import new_encoder


class Shipped(Learner):
    """A stage that has ended, with one expert of a shipped model, or with the text encoder alone."""

    def __init__(self, name: str, encoder: Any, transformer: Any = None) -> None:
        import torch

        self.name, self.random = name, np.random.default_rng(0)
        parts = {"encoder": encoder} if transformer is None else {"transformer": transformer, "encoder": encoder}
        encoder.requires_grad_(transformer is None)
        self.network = torch.nn.ModuleDict(dict(sorted(parts.items(), reverse=True)))
        self.optimizer = Muon(self.network.named_parameters(), adam_names=ADAM_NAMES)
        self.average = Average(self.network, keep=0.0)


def unpack_model(slug: str, steps: dict[str, int], folder: Path) -> None:
    """The state of the stages that made one model: `steps` that each took, by name, in the order of its experts.

    The VAE goes to its folder. A stage that has a state already keeps it.
    """
    from diffusers import AutoencoderKLWan, WanTransformer3DModel
    from transformers import UMT5EncoderModel

    shipped, kind = SHIPPED / slug, slug.partition("-")[0]
    folder.mkdir(parents=True, exist_ok=True)
    vae = folder / ("vae_wan22" if kind == "ti2v" else "vae_wan21")
    if not vae.exists():
        AutoencoderKLWan.from_pretrained(shipped / "vae").float().save_pretrained(vae)
        mark_done(vae.name, folder)
    for (name, taken), part in zip(steps.items(), ("transformer", "transformer_2"), strict=False):
        encoder = _filled(new_encoder(), UMT5EncoderModel.from_pretrained(shipped / "text_encoder"))
        transformer = _filled(new_transformer(kind), WanTransformer3DModel.from_pretrained(shipped / part))
        _keep(Shipped(name, encoder, transformer), taken, folder)
        _keep(Shipped(GRAMMAR, encoder), 0, folder)


def _filled(network: Any, shipped: Any) -> Any:
    """The shipped values, in single precision."""
    network.load_state_dict(shipped.float().state_dict())
    return network


def _keep(stage: Shipped, taken: int, folder: Path) -> None:
    path = folder / f"{stage.name}.pt"
    if path.exists() or is_done(stage.name, folder):
        return
    save({"step": taken, "state": stage.state()}, path)
    mark_done(stage.name, folder)

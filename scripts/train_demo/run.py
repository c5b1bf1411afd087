"""What every stage of the training shares: a folder that remembers, so that a stage goes on where it was stopped.

A run is `<name>.pt` (all that the stage says is its state), `<name>.jsonl` (its curve) and, when it has ended,
`<name>.done`. Files appear by rename.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from train_demo import device
from train_demo.muon import Muon

if TYPE_CHECKING:
    import torch

SAVE_EVERY_S = 60.0
LOG_EVERY = 20


class Stage(Protocol):
    """One thing that is trained."""

    name: str
    steps: int

    def step(self, number: int) -> dict[str, float]:
        """Take step `number` (from 0) and say what it measured."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        ...

    def load(self, state: dict[str, Any]) -> None:
        """Go on from that state."""
        ...


class Learner:
    """What all stages keep between steps: the network, its average, the optimizer and the chance numbers."""

    name: str
    network: torch.nn.Module
    average: Average
    optimizer: Muon
    random: np.random.Generator

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        import torch

        return {
            "network": self.network.state_dict(),
            "average": self.average.values,
            "optimizer": self.optimizer.state(),
            "random": self.random.bit_generator.state,
            "torch_random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state() if device.current().type == "cuda" else None,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from that state."""
        import torch

        self.network.load_state_dict(state["network"])
        self.average.values = state["average"]
        self.optimizer.load(state["optimizer"])
        self.random.bit_generator.state = state["random"]
        torch.set_rng_state(state["torch_random"].cpu())
        if device.current().type == "cuda" and state.get("cuda_random") is not None:
            torch.cuda.set_rng_state(state["cuda_random"].cpu())


def train(stage: Stage, folder: Path) -> None:
    """Take the stage's remaining steps."""

    if is_done(stage.name, folder):
        return
    folder.mkdir(parents=True, exist_ok=True)
    path, first = folder / f"{stage.name}.pt", 0
    if path.exists():
        saved = device.load(path)
        stage.load(saved["state"])
        first = saved["step"]
    saved_at, sums = time.monotonic(), Means()
    for number in range(first, stage.steps):
        sums.add(stage.step(number))
        if (number + 1) % LOG_EVERY == 0:
            _log(folder / f"{stage.name}.jsonl", number + 1, sums.take())
        if time.monotonic() - saved_at > SAVE_EVERY_S:
            save({"step": number + 1, "state": stage.state()}, path)
            saved_at = time.monotonic()
    save({"step": stage.steps, "state": stage.state()}, path)
    mark_done(stage.name, folder)


def is_done(name: str, folder: Path) -> bool:
    """Whether the stage of that name has ended."""
    return (folder / f"{name}.done").exists()


def mark_done(name: str, folder: Path) -> None:
    """Let the stage of that name count as ended."""
    (folder / f"{name}.done").touch()


def save(value: Any, path: Path) -> None:
    """Write with torch, whole or not at all."""
    import torch

    part = path.with_suffix(".part")
    torch.save(value, part)
    part.replace(path)


class Means:
    """Running means of what steps measure."""

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = {}

    def add(self, measured: dict[str, float]) -> None:
        """Take one step's figures."""
        for key, value in measured.items():
            self._sums.setdefault(key, []).append(value)

    def take(self) -> dict[str, float]:
        """The means since the last call."""
        means = {key: sum(values) / len(values) for key, values in self._sums.items()}
        self._sums.clear()
        return means


class Average:
    """An exponential moving average of a network's parameters, which is what is shipped."""

    def __init__(self, network: torch.nn.Module, keep: float) -> None:
        self._network, self._keep = network, keep
        self.values = {name: value.detach().clone() for name, value in network.named_parameters()}

    def update(self, step: int) -> None:
        """Take in the parameters as they are; early steps count more, so that the start is forgotten."""
        import torch

        keep = min(self._keep, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in self._network.named_parameters():
                self.values[name].lerp_(value, 1 - keep)

    def apply(self) -> None:
        """Make the network the average."""
        self._network.load_state_dict(self.values, strict=False)


def _log(path: Path, step: int, means: dict[str, float]) -> None:
    row = {"step": step, "time": round(time.time(), 1), **{key: round(value, 5) for key, value in means.items()}}
    line = json.dumps(row)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    print(line, flush=True)


def decayed(rate: float, number: int, steps: int, *, warm: int = 20, flat: float = 0.3) -> float:
    """The learning rate at a step: a short rise, a flat part, then linear down to 2 % of it."""
    rise = min(1.0, (number + 1) / warm)
    fall = (steps - number) / max(1.0, steps * (1 - flat))
    return rate * rise * max(0.02, min(1.0, fall))

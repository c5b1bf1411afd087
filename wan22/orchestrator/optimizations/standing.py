"""What a verdict on an optimization is, and the facts that it rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from wan22.hardware.choose import GIB, Precision, gpu_of
from wan22.hardware.machine import Gpu, Machine
from wan22.settings import Settings
from wan22.tasks import ModelType, Plan

State = Literal["active", "off", "not_applicable"]


class Standing(NamedTuple):
    """How an optimization stands on this machine, and why in words for people."""

    state: State
    why: str


@dataclass(frozen=True)
class Facts:
    """All that a verdict rests on."""

    machine: Machine
    device: str
    precision: Precision
    settings: Settings
    environment: Mapping[str, str]
    plans: Mapping[ModelType, Plan]  # of a task that says nothing but the model; those that can be made

    @property
    def gpu(self) -> Gpu | None:
        """The one that computes."""
        return gpu_of(self.machine, self.device)


Judge = Callable[[Facts], Standing]


def active(why: str) -> Standing:
    """It does what it says."""
    return Standing("active", why)


def not_here(why: str) -> Standing:
    """It would do nothing on this machine, or for these weights."""
    return Standing("not_applicable", why)


def on_gpu(judge: Callable[[Facts, Gpu], Standing]) -> Judge:
    """Decorator: a verdict that there is only where an NVIDIA GPU computes."""

    def judged(facts: Facts) -> Standing:
        if facts.gpu is None:
            return not_here(f"Tasks run on {facts.device}, and this is for NVIDIA's GPUs.")
        return judge(facts, facts.gpu)

    judged.__doc__ = judge.__doc__
    return judged


def gib(count: float) -> str:
    """Bytes as people say them."""
    return f"{count / GIB:.0f} GiB"

"""The videos that are denoised at once, and how one of them leaves the others. Runs no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wan22.pipelines.staged import FrameCondition
from wan22.pipelines.text import TextCondition
from wan22.tasks import Reporter

if TYPE_CHECKING:
    import torch


class NobodyLeft(Exception):
    """Every take has left the batch."""


@dataclass(frozen=True, eq=False)
class Take:
    """One video of a batch: its embedded prompts, the seed of its noise, and whom its run speaks through."""

    text: TextCondition
    seed: int
    reporter: Reporter


class Batch:
    """The takes in the order of the batch's tensors. One that leaves is in them until the end of the step."""

    def __init__(self, takes: Sequence[Take], frames: FrameCondition | None) -> None:
        self.takes = tuple(takes)
        self._leaving: set[Take] = set()
        self._condition = _condition_for(len(takes), frames)

    @property
    def condition(self) -> tuple[torch.Tensor, ...]:
        """The given frames as the image pipeline takes them after the noise."""
        return self._condition

    def staying(self) -> list[tuple[int, Take]]:
        """Those that have not left, each with its place in the tensors."""
        return [(place, take) for place, take in enumerate(self.takes) if take not in self._leaving]

    def reporters(self) -> list[Reporter]:
        """Of those that have not left, each once."""
        return _once(take.reporter for _, take in self.staying())

    def leave(self, take: Take) -> None:
        """Take no more account of it."""
        self._leaving.add(take)

    def shrink(self, latents: torch.Tensor, scheduler: Any) -> dict[str, Any]:
        """Between two steps: the tensors without those that left, as diffusers' loop takes them; {} if none did."""
        if not self._leaving:
            return {}
        kept = [place for place, _ in self.staying()]
        self.takes = tuple(self.takes[place] for place in kept)
        self._leaving.clear()
        if len(self._condition) == 1:  # the loop has no other way to be given a smaller one
            (condition,) = self._condition
            condition.set_(condition[kept])
        scheduler.model_outputs = [None if output is None else output[kept] for output in scheduler.model_outputs]
        scheduler.last_sample = scheduler.last_sample[kept]
        return {"latents": latents[kept], **prompts_of(self.takes)}


def _once(reporters: Iterable[Reporter]) -> list[Reporter]:
    return list({id(reporter): reporter for reporter in reporters}.values())


def prompts_of(takes: Sequence[Take]) -> dict[str, torch.Tensor | None]:
    """The embedded prompts of all, (B, tokens, width), by the names that diffusers has for them."""
    import torch

    negatives = [take.text.negative for take in takes if take.text.negative is not None]
    return {
        "prompt_embeds": torch.cat([take.text.prompt for take in takes]),
        "negative_prompt_embeds": torch.cat(negatives) if negatives else None,
    }


def _condition_for(count: int, frames: FrameCondition | None) -> tuple[torch.Tensor, ...]:
    """For A14B repeated, since it is put beside the latents; for 5B it is laid over them, and one is enough for all."""
    if frames is None:
        return ()
    if frames.mask is None:
        return (frames.latents.repeat(count, 1, 1, 1, 1),)
    return frames.tensors()

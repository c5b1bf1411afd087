"""Where weights are in each phase of a run, and what of them comes over the bus, by the plan's `offload`. Pure.

How much a phase needs beside its weights is `models.cost`'s to say, how long it takes `forecasting`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from wan22.models.needs import EIGHT_BIT_BYTES, HEADROOM, LAYERS_SHARE
from wan22.tasks import Phase, Plan

_TEXT_SHARE = 0.255  # of the streamed text encoder, on the GPU at once: its embedding and two blocks
_BLOCKS_SHARE = 0.983  # of a transformer is in its blocks
_LAYERS_IN_BLOCK = 10  # that are fetched one by one: its matrices


@dataclass(frozen=True)
class Weights:
    """Bytes of a model's weights as they will be in memory."""

    text_encoder: int
    transformers: int  # all experts together
    experts: int
    vae: int
    blocks: int  # that each transformer has

    @property
    def total(self) -> int:
        """All of them."""
        return self.text_encoder + self.transformers + self.vae

    @property
    def block(self) -> float:
        """One block of a transformer."""
        return _BLOCKS_SHARE * self.transformers / self.experts / self.blocks

    def network(self, phase: Phase) -> float:
        """The one network that a phase goes through."""
        if phase is Phase.TEXT_ENCODE:
            return self.text_encoder
        return self.transformers / self.experts if phase is Phase.DENOISE else self.vae

    def streamed(self, resident_blocks: int | None) -> float:
        """The blocks of one transformer that do not stay on the GPU, where so many do; None: all."""
        return 0.0 if resident_blocks is None else max(0, self.blocks - resident_blocks) * self.block

    def narrowed(self) -> Weights:
        """The same with the transformers in 8 bits in the place of 16."""
        return replace(self, transformers=round(self.transformers * EIGHT_BIT_BYTES / 2))


class OnGpu(NamedTuple):
    """Bytes on the GPU in one phase."""

    staying: float  # weights, for the whole phase
    passing: float  # all that is taken and given back meanwhile

    @property
    def peak(self) -> float:
        """Counted."""
        return self.staying + self.passing

    def corrected(self, by: float) -> OnGpu:
        """With a peak so many times as high; weights that stay are known, so that the miss is in the rest."""
        return self._replace(passing=max(0.0, self.passing + (by - 1) * self.peak)) if by != 1 else self

    @property
    def need(self) -> float:
        """With head-room for fragments, which come with what is taken and given back."""
        return self.staying + HEADROOM * self.passing


class OverBus(NamedTuple):
    """Bytes that come from RAM in one phase of a whole run."""

    ahead: float = 0.0  # before the phase, or before an expert's turn in it
    along: float = 0.0  # while what came before is used
    pieces: float = 0.0  # in so many copies


def on_gpu(phase: Phase, plan: Plan, weights: Weights, held_bytes: float) -> OnGpu:
    """What is there in that phase; `held_bytes`: of all that is no weights."""
    if plan.offload == "none":
        return OnGpu(weights.total, held_bytes)
    network = weights.network(phase)
    if phase in (Phase.IMAGE_ENCODE, Phase.DECODE) or plan.offload == "model":
        return OnGpu(network, held_bytes)
    if phase is Phase.TEXT_ENCODE:
        return OnGpu(0.0, _TEXT_SHARE * network + held_bytes)
    if plan.offload == "blocks":
        streamed = weights.streamed(plan.resident_blocks)
        return OnGpu(network - streamed, min(streamed, 2 * weights.block) + held_bytes)
    # layer by layer; slices go over a block's layers again and again, so that it is there as a whole
    return OnGpu(0.0, max(LAYERS_SHARE * network, weights.block if plan.slices else 0.0) + held_bytes)


def over_bus(phase: Phase, plan: Plan, weights: Weights, *, passes: float, outputs: int) -> OverBus:
    """What comes to the GPU in that phase, which goes over its network's weights so often for all outputs."""
    if plan.offload == "none":
        return OverBus()
    network = weights.network(phase)
    if phase is Phase.IMAGE_ENCODE:
        return OverBus(ahead=network)
    if phase is Phase.DECODE:
        return OverBus(ahead=outputs * network)
    if phase is Phase.TEXT_ENCODE:
        return OverBus(ahead=network) if plan.offload == "model" else OverBus(along=passes * network)
    if plan.offload == "group":
        return OverBus(along=passes * network, pieces=passes * weights.blocks * _LAYERS_IN_BLOCK)
    streamed = weights.streamed(plan.resident_blocks if plan.offload == "blocks" else None)
    pieces = passes * streamed / weights.block
    return OverBus(outputs * weights.experts * (network - streamed), passes * streamed, pieces)


def in_ram(plan: Plan, weights: Weights) -> float:
    """What waits in RAM beside a GPU; without streaming only one network does, while it is read."""
    if plan.offload != "none":
        return weights.total
    return max(weights.text_encoder, weights.transformers / weights.experts, weights.vae)

"""Spares most of a transformer's pass where its first block does nearly what it did at the last step.

diffusers' first-block cache: the first block runs at every step. If what it adds to the hidden states is, by the mean
of its absolute values, within a threshold of what it added when all blocks last ran, the others are left out and what
they added then is added again. Each transformer keeps its own, for the prompt and the negative prompt apart, so that
nothing crosses the boundary between the experts. Which thresholds a model bears is for whoever plans the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Spared:
    """Passes through a transformer so far, and those of which only the first block ran."""

    passes: int = 0
    spared: int = 0


@contextmanager
def step_cached(experts: Sequence[Any], thresholds: Sequence[float]) -> Iterator[Spared]:
    """Inside, each of the transformers spares what its threshold allows, 0 nothing; the value counts as it goes.

    What is kept is forgotten at the end. Between two runs inside, `maybe_free_model_hooks` of the pipeline forgets it.
    Slices, LoRAs, narrow weights and group offloading work as without, put on before; what is spared is not streamed.
    """
    counted = Spared()
    with ExitStack() as stack:
        for expert, threshold in zip(experts, thresholds, strict=True):
            if threshold > 0:
                stack.enter_context(_cached(expert, threshold))
            stack.enter_context(_counting(expert, counted))
        yield counted


@contextmanager
def _cached(expert: Any, threshold: float) -> Iterator[None]:
    from diffusers import FirstBlockCacheConfig

    expert.enable_cache(FirstBlockCacheConfig(threshold=threshold))
    try:
        yield
    finally:
        expert.disable_cache()


@contextmanager
def _counting(expert: Any, counted: Spared) -> Iterator[None]:
    """By what runs: the first layer of the last block does once or more in a whole pass, and not in a spared one."""
    ran: list[bool] = []

    def end(*_: Any) -> None:
        counted.passes += 1
        counted.spared += not ran
        ran.clear()

    handles = (
        expert.blocks[-1].norm1.register_forward_pre_hook(lambda *_: ran.append(True)),
        expert.register_forward_hook(end),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

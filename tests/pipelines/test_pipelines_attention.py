"""A plan's attention reaches every block, in slices too, changes no more than rounding, and is gone after the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from diffusers.models import attention_dispatch
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from pipelines_kit import I2V, PICTURE, T2V, TI2V, Recorder, ask, latents_of, plan_of

from wan22.errors import Cancelled, GenerationFailed
from wan22.tasks import Phase

MATH = "_native_math"  # of torch's kernels the one that multiplies as it is written down; it runs on a CPU
CASES = {"text to video": (T2V, ()), "image to video": (I2V, (PICTURE,)), "5B from a picture": (TI2V, (PICTURE,))}


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """How often each kernel computed attention."""
    counts: Counter[str] = Counter()
    backends = _AttentionBackendRegistry._backends
    before = dict(backends)

    def counted(name: Any, kernel: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            counts[name.value] += 1
            return kernel(*args, **kwargs)

        return call

    backends.update({name: counted(name, kernel) for name, kernel in before.items()})
    yield counts
    backends.update(before)


def backends_of(model: Any) -> set[str]:
    """What the attention of all blocks is set to, and the process's own."""
    attentions = [part for expert in model.experts for block in expert.blocks for part in (block.attn1, block.attn2)]
    active, _ = _AttentionBackendRegistry.get_active_backend()
    return {part.processor._attention_backend.value for part in attentions} | {active.value}


@pytest.mark.parametrize("slices", [None, 5])
@pytest.mark.parametrize(("model_type", "images"), CASES.values(), ids=CASES)
def test_it_reaches_every_block_and_is_gone_afterwards(models, model_type, images, slices) -> None:
    model, request = models(model_type), ask(model_type)
    with model.run_as(plan_of(slices=slices)), counting() as plain:
        expected = latents_of(model, request, *images)
    with model.run_as(plan_of(slices=slices, attention=MATH)), counting() as counts:
        assert backends_of(model) == {MATH}
        latents = latents_of(model, request, *images)
    assert counts == {MATH: plain["native"]}, "as many as without, all of them by that kernel"
    assert 0 < float((latents - expected).abs().max()) < 1e-4, (
        "rounded otherwise, which guidance and steps make more of"
    )
    assert backends_of(model) == {"native"}
    with model.run_as(plan_of(slices=slices)):
        assert latents_of(model, request, *images).equal(expected)


@pytest.mark.parametrize("model_type", [T2V, TI2V])
def test_a_pass_is_the_same(models, model_type) -> None:
    import torch

    model = models(model_type)
    transformer = model.experts[0]
    random = torch.Generator().manual_seed(0)
    latents = torch.randn((1, transformer.config.in_channels, 3, 10, 14), generator=random)
    text = torch.randn((1, 512, transformer.config.text_dim), generator=random)
    given = (latents, torch.full((1,), 700.0), text)
    passes = {}
    for attention in ("native", MATH):
        with model.run_as(plan_of(attention=attention)), torch.no_grad():
            passes[attention] = transformer(*given, return_dict=False)[0]
    assert float((passes[MATH] - passes["native"]).abs().max()) < 2e-6 * float(passes["native"].abs().max()) + 2e-6


def test_what_the_process_had_before_is_not_what_a_plan_of_torchs_own_runs_with(models) -> None:
    """diffusers keeps what was last set, for every model."""
    model = models(T2V)
    _AttentionBackendRegistry.set_active_backend(AttentionBackendName(MATH))
    with model.run_as(plan_of()), counting() as counts:
        latents_of(model, ask(T2V))
    assert set(counts) == {"native"}
    assert backends_of(model) == {"native"}


def test_a_run_that_is_cancelled_leaves_nothing(models) -> None:
    model = models(T2V)
    with pytest.raises(Cancelled), model.run_as(plan_of(attention=MATH)):
        latents_of(model, ask(T2V), reporter=Recorder(cancel_in=Phase.DENOISE, cancel_at=5))
    assert backends_of(model) == {"native"}


def test_kernels_that_can_not_be_loaded_are_named_with_a_cure(models, monkeypatch) -> None:
    """As a build for another torch, which is installed and fails when it is imported."""
    monkeypatch.setattr(attention_dispatch, "_CAN_USE_FLASH_ATTN", False)
    model = models(T2V)
    refused = pytest.raises(GenerationFailed, match=r"Attention by flash .* Set device.attention to auto")
    with refused, model.run_as(plan_of(attention="flash")):
        pass
    assert backends_of(model) == {"native"}

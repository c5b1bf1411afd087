"""The step cache: spares what it says, crosses no boundary, leaves nothing, and goes with all that a run may have."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pipelines_kit import I2V, LAST_PICTURE, PICTURE, T2V, TI2V, Recorder, ask, counting, latents_of, load_from
from support.loras import lora_for

from wan22.errors import Cancelled
from wan22.models.loras.files import read
from wan22.pipelines.adapters import Adapter, put_on
from wan22.pipelines.slices import in_slices
from wan22.pipelines.step_cache import step_cached
from wan22.tasks import Phase

NEARLY_ALL = 0.999  # passes whose first block did half of what it had done are spared, and more
CASES = [(T2V, ()), (I2V, (PICTURE, LAST_PICTURE)), (TI2V, ()), (TI2V, (PICTURE,))]
every_case = pytest.mark.parametrize(("model_type", "images"), CASES)


def cached(model, request, *images, threshold=NEARLY_ALL, reporter=None):
    """The latents, and what was spared."""
    with step_cached(model.experts, [threshold] * len(model.experts)) as spared:
        return latents_of(model, request, *images, reporter=reporter), spared


def is_plain(model) -> bool:
    """Whether nothing of the cache is left."""
    hooks = [block._diffusers_hook.hooks for block in blocks_of(model) if hasattr(block, "_diffusers_hook")]
    return not any(hooks) and not any(expert.is_cache_enabled for expert in model.experts)


def blocks_of(model):
    return [block for expert in model.experts for block in expert.blocks]


@every_case
def test_what_is_counted_is_what_was_spared_and_nothing_is_left(models, model_type, images) -> None:
    model, request = models(model_type), ask(model_type)
    whole = latents_of(model, request, *images)
    last = [expert.blocks[-1].ffn for expert in model.experts]
    with counting(*last) as ran, counting(*model.experts) as passes:
        latents, spared = cached(model, request, *images)
    assert spared.passes == sum(passes)
    assert spared.spared == sum(passes) - sum(ran) > 0
    assert not latents.equal(whole)
    assert latents_of(model, request, *images).equal(whole)
    assert is_plain(model)


@every_case
def test_where_no_two_steps_are_alike_nothing_is_spared_and_nothing_changed(models, model_type, images) -> None:
    model, request = models(model_type), ask(model_type)
    latents, spared = cached(model, request, *images, threshold=1e-9)
    assert (spared.spared, spared.passes > 0) == (0, True)
    assert latents.equal(latents_of(model, request, *images))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(thresholds=(0.0, NEARLY_ALL), steps=6)
@example(thresholds=(NEARLY_ALL, 0.0), steps=6)
@given(thresholds=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)), steps=st.integers(1, 8))
def test_each_expert_begins_anew_and_spares_by_its_own_threshold(models, thresholds, steps) -> None:
    model = models(T2V)
    ran = [expert.blocks[-1].ffn for expert in model.experts]
    with counting(*ran) as whole, counting(*model.experts) as passes, step_cached(model.experts, thresholds) as spared:
        latents_of(model, ask(T2V, steps=steps))
    for run, made, threshold in zip(whole, passes, thresholds, strict=True):
        assert run >= min(made, 2), "the first pass with the prompt, and with the negative one, are whole"
        assert run == made or threshold > 0
    assert spared.spared == sum(passes) - sum(whole)


def test_nothing_of_one_run_is_in_the_next(models) -> None:
    model, request, other = models(T2V), ask(T2V), ask(T2V, prompt="a blue star moving left")
    alone, _ = cached(model, request)
    with step_cached(model.experts, [NEARLY_ALL] * 2):
        latents_of(model, other)
        assert latents_of(model, request).equal(alone)


@pytest.mark.parametrize("at", [3, 12, 20])
def test_nothing_of_a_run_that_was_cancelled_is_in_the_next(models, at) -> None:
    model, request = models(T2V), ask(T2V)
    whole, (alone, _) = latents_of(model, request), cached(model, request)
    reporter = Recorder(cancel_in=Phase.DENOISE, cancel_at=at)
    with step_cached(model.experts, [NEARLY_ALL] * 2):
        with pytest.raises(Cancelled):
            latents_of(model, request, reporter=reporter)
        assert latents_of(model, request).equal(alone)
    with pytest.raises(Cancelled):
        cached(model, request, reporter=Recorder(cancel_in=Phase.DENOISE, cancel_at=at))
    assert latents_of(model, request).equal(whole)
    assert is_plain(model)


@pytest.mark.parametrize("sliced", [False, True], ids=["whole", "slices"])
@pytest.mark.parametrize("with_lora", [False, True], ids=["bare", "lora"])
@pytest.mark.parametrize(
    "plan",
    [
        {"offload": "group"},
        {"offload": "blocks", "resident_blocks": 1},
        {"precision": {"transformer": "int8", "text_encoder": "fp32", "vae": "fp32"}, "compute": "fp32"},
        {
            "precision": {"transformer": "int8", "text_encoder": "fp32", "vae": "fp32"},
            "compute": "fp32",
            "offload": "group",
        },
    ],
    ids=["streamed", "blocks", "int8", "int8 streamed"],
)
def test_with_all_else_that_a_run_may_have(demos, tmp_path, plan, with_lora, sliced) -> None:
    """Against the same weights without streaming and slices, which give the same."""
    plain = load_from(demos(T2V), T2V, **{name: value for name, value in plan.items() if name != "offload"})
    model, request = load_from(demos(T2V), T2V, **plan), ask(T2V)
    untouched = latents_of(model, request)
    if with_lora:
        adapters = [Adapter(0, read(lora_for(T2V, tmp_path / "a.safetensors")), 1.0)]
        put_on(model, adapters)
        put_on(plain, adapters)
    expected, counted = cached(plain, request)
    with ExitStack() as stack:
        if sliced:
            stack.enter_context(in_slices(blocks_of(model), 9))
        latents, spared = cached(model, request)
    assert spared == counted
    assert spared.spared > 0
    assert float((latents - expected).abs().max()) < 1e-4
    put_on(model, [])
    assert latents_of(model, request).equal(untouched)


def test_what_is_spared_is_not_streamed(demos, monkeypatch) -> None:
    from diffusers.hooks.group_offloading import ModuleGroup

    fetched, original = [], ModuleGroup.onload_
    monkeypatch.setattr(ModuleGroup, "onload_", lambda group: (fetched.append(1), original(group)))
    model, request = load_from(demos(T2V), T2V, offload="group"), ask(T2V)
    latents_of(model, request)
    whole = len(fetched)
    fetched.clear()
    _, spared = cached(model, request)
    assert len(fetched) < whole * (1 - 0.5 * spared.spared / spared.passes)


def test_a_run_is_watched_at_every_block_of_spared_passes_too(models) -> None:
    told, told_cached = Recorder(), Recorder()
    latents_of(models(TI2V), ask(TI2V), reporter=told)
    cached(models(TI2V), ask(TI2V), reporter=told_cached)
    assert told_cached.checks == told.checks


def test_there_is_a_threshold_for_each_transformer(models) -> None:
    with pytest.raises(ValueError, match="shorter"), step_cached(models(T2V).experts, [0.1]):
        pass
    assert is_plain(models(T2V))

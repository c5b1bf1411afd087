"""Guidance is paid for where it acts: second passes, the negative prompt, and the experts' parts."""

from __future__ import annotations

import pytest
from pipelines_kit import I2V, PICTURE, STEPS, T2V, TI2V, Recorder, ask, bare, called, counting, latents_of

from wan22.pipelines.phases import encode_text
from wan22.pipelines.schedule import scheduler_for
from wan22.pipelines.staged import is_guided


def passes(model, request, *images) -> list[int]:
    """Forward passes of each expert in one run."""
    with counting(*model.experts) as counts:
        latents_of(model, request, *images)
    return counts


def steps_above(boundary: float, pipeline, request) -> int:
    """Steps of the high-noise expert, told by diffusers' own timesteps."""
    scheduler = scheduler_for(pipeline.scheduler, steps=request.steps, flow_shift=request.flow_shift)
    return int((scheduler.timesteps >= boundary * 1000).sum())


@pytest.mark.parametrize(("model_type", "images"), [(T2V, ()), (I2V, (PICTURE,))])
@pytest.mark.parametrize("steps", [4, 7])
def test_the_boundary_parts_the_steps_between_the_experts(models, model_type, images, steps) -> None:
    model, request = models(model_type), ask(model_type, steps=steps)
    pipeline = model.pipeline
    high = steps_above(pipeline.config.boundary_ratio, pipeline, request)
    assert 0 < high < steps
    assert passes(model, request, *images) == [2 * high, 2 * (steps - high)]


def test_guidance_off_runs_one_pass_a_step(models) -> None:
    assert passes(models(TI2V), ask(TI2V, guidance_scale=1.0)) == [STEPS]
    assert sum(passes(models(T2V), ask(T2V, guidance_scale=1.0, guidance_scale_2=1.0))) == STEPS


@pytest.mark.parametrize(("first", "second"), [(4.0, 1.0), (1.0, 3.0), (0.0, 3.0)])
def test_guidance_off_for_one_expert_spares_its_second_pass_only(models, first, second) -> None:
    model, request = models(T2V), ask(T2V, guidance_scale=first, guidance_scale_2=second)
    high = steps_above(0.875, model.text, request)
    assert passes(model, request) == [high * (1 + (first > 1)), (STEPS - high) * (1 + (second > 1))]


def test_sparing_the_low_noise_pass_changes_nothing(models) -> None:
    """diffusers runs it and multiplies it away."""
    model, request = models(T2V), ask(T2V, guidance_scale=4.0, guidance_scale_2=1.0)
    with bare(model.text, request) as pipeline:
        expected = called(pipeline, request)
    assert (latents_of(model, request) - expected).abs().max() < 1e-5


def test_one_scale_without_a_second_holds_for_both_experts(models) -> None:
    one, same = (ask(T2V, guidance_scale=3.0, guidance_scale_2=second) for second in (None, 3.0))
    assert latents_of(models(T2V), one).equal(latents_of(models(T2V), same))


@pytest.mark.parametrize(("scale", "prompts"), [(1.0, 1), (1.5, 2)])
def test_the_negative_prompt_is_encoded_only_where_it_is_used(models, scale, prompts) -> None:
    model = models(TI2V)
    with counting(model.text.text_encoder) as counts:
        text = encode_text(model, ask(TI2V, guidance_scale=scale), Recorder())
    assert counts == [prompts]
    assert (text.negative is None) == (prompts == 1)


@pytest.mark.parametrize(("scales", "guided"), [((1, 1), False), ((1, 2), True), ((2, 1), True), ((2, None), True)])
def test_any_guided_expert_needs_the_negative_prompt(scales, guided) -> None:
    assert is_guided(*scales) is guided

"""A run stops inside every phase when it is asked to, tells how far it has come, and leaves the model as it was."""

from __future__ import annotations

import pytest
from pipelines_kit import I2V, PICTURE, STEPS, T2V, TI2V, Recorder, ask, frames_of, latents_of, load_from

from wan22.errors import Cancelled, GenerationFailed, OutOfMemory
from wan22.tasks import Phase


def run(model, request, *images, reporter=None):
    reporter = reporter or Recorder()
    return frames_of(model, latents_of(model, request, *images, reporter=reporter), reporter)


def hooks_of(model) -> int:
    parts = (model.pipeline.text_encoder, model.vae, *model.experts)
    return sum(len(module._forward_pre_hooks) for part in parts for module in part.modules())


CASES = [
    (T2V, Phase.TEXT_ENCODE, 2),
    (T2V, Phase.DENOISE, 3),  # between two blocks of the first step
    (T2V, Phase.DENOISE, 14),  # in a later step, by the other expert
    (T2V, Phase.DECODE, 2),
    (I2V, Phase.IMAGE_ENCODE, 3),
    (I2V, Phase.DENOISE, 5),
    (TI2V, Phase.IMAGE_ENCODE, 1),
    (TI2V, Phase.DECODE, 5),
]


@pytest.mark.parametrize(("model_type", "phase", "at"), CASES)
def test_a_cancelled_run_leaves_no_trace(models, model_type, phase, at) -> None:
    model, request = models(model_type), ask(model_type)
    images = () if model_type is T2V else (PICTURE,)
    before, hooks = run(model, request, *images), hooks_of(model)
    reporter = Recorder(cancel_in=phase, cancel_at=at)
    with pytest.raises(Cancelled):
        run(model, request, *images, reporter=reporter)
    assert reporter.phases[-1] is phase
    assert reporter.checks[phase] == at
    assert hooks_of(model) == hooks
    assert (run(model, request, *images) == before).all()


def test_cancel_is_asked_before_every_block(models) -> None:
    model, reporter = models(T2V), Recorder()
    latents_of(model, ask(T2V), reporter=reporter)
    blocks = len(model.experts[0].blocks)
    assert reporter.checks[Phase.DENOISE] == STEPS * (2 * blocks + 1)


def test_phases_come_in_order_and_only_those_that_are_needed(models) -> None:
    reporter = Recorder()
    run(models(TI2V), ask(TI2V), reporter=reporter)
    assert reporter.phases == [Phase.TEXT_ENCODE, Phase.DENOISE, Phase.DECODE]
    reporter = Recorder()
    run(models(I2V), ask(I2V), PICTURE, reporter=reporter)
    assert reporter.phases == [Phase.TEXT_ENCODE, Phase.IMAGE_ENCODE, Phase.DENOISE, Phase.DECODE]


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_progress_grows_to_one_and_counts_steps(models, scale) -> None:
    reporter = Recorder()
    latents_of(models(TI2V), ask(TI2V, guidance_scale=scale), reporter=reporter)
    fractions = [fraction for fraction, _, _ in reporter.told]
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < 1 / STEPS  # inside the first step too
    assert reporter.told[-1] == (1.0, STEPS, STEPS)
    assert {total for _, _, total in reporter.told} == {STEPS}


def test_running_out_of_memory_inside_a_block_has_its_name(models) -> None:
    import torch

    def burst(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    model, request = models(T2V), ask(T2V)
    before = latents_of(model, request)
    handle = model.experts[1].blocks[0].register_forward_pre_hook(burst)
    with pytest.raises(OutOfMemory, match="while denoising"):
        latents_of(model, request)
    handle.remove()
    assert latents_of(model, request).equal(before)


@pytest.mark.parametrize(("model_type", "expert", "steps"), [(T2V, 0, 1), (T2V, 1, STEPS), (TI2V, 0, 1)])
def test_weights_that_overflow_end_the_run_at_their_first_step_with_a_cure(demos, model_type, expert, steps) -> None:
    import torch

    model, reporter = load_from(demos(model_type), model_type), Recorder()
    with torch.no_grad():
        model.experts[expert].proj_out.weight.fill_(3e38)
    with pytest.raises(GenerationFailed, match=r"while denoising\. Ask for another seed or another size\.$"):
        latents_of(model, ask(model_type), reporter=reporter)
    assert all(step < steps for _, step, _ in reporter.told)

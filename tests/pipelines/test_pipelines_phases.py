"""What each phase hands to the next, and that none leaves anything behind."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines_kit import (
    FRAMES,
    I2V,
    LAST_PICTURE,
    PICTURE,
    SIDE,
    T2V,
    TI2V,
    Recorder,
    ask,
    bare,
    called,
    frames_of,
    latents_of,
    render_of,
)

from wan22.errors import OutOfMemory
from wan22.pipelines.phases import denoise, encode_image, encode_text
from wan22.pipelines.text import MAX_TOKENS


def encoded(model, request, *images):
    first, last = (*images, None, None)[:2]
    return encode_image(model, request, render_of(request), first, last, reporter=Recorder())


@pytest.mark.parametrize("prompt", ["", "a cat", "red " * 2000, "çà et là 猫 🐈", "a &amp; b"])
def test_any_prompt_has_the_same_shape(models, prompt) -> None:
    text = encode_text(models(T2V), ask(T2V, prompt=prompt), Recorder())
    width = models(T2V).pipeline.text_encoder.config.d_model
    assert text.prompt.shape == text.negative.shape == (1, MAX_TOKENS, width)
    assert text.prompt.isfinite().all()


def test_places_after_the_prompt_are_zero(models) -> None:
    """As in diffusers: the transformers attend to them."""
    said = "a red circle moving right on a blue background"
    words = len(said.split()) + 1  # and the end
    text = encode_text(models(T2V), ask(T2V, prompt=said), Recorder())
    assert text.prompt[0, :words].any(dim=1).all()
    assert not text.prompt[0, words:].any()


@pytest.mark.parametrize(("images", "given_frames"), [((PICTURE,), [0]), ((PICTURE, LAST_PICTURE), [0, FRAMES - 1])])
def test_the_mask_tells_which_frames_are_given(models, images, given_frames) -> None:
    latents = encoded(models(I2V), ask(I2V), *images).frames.latents
    mask = latents[0, :4, :, 0, 0].T.flatten()[3:]  # the first frame fills all four places of its latent frame
    assert latents.shape == (1, 20, 2, SIDE // 8, SIDE // 8)
    assert mask.nonzero().flatten().tolist() == given_frames


def test_the_5b_model_is_given_its_first_frame_only(models) -> None:
    frames = encoded(models(TI2V), ask(TI2V), PICTURE).frames
    assert frames.latents.shape == (1, 48, 1, SIDE // 16, SIDE // 16)
    assert frames.mask[0, 0, :, 0, 0].tolist() == [0, 1]


def test_one_encoding_serves_every_seed(models) -> None:
    model, request = models(I2V), ask(I2V)
    text, image = encode_text(model, request, Recorder()), encoded(model, request, PICTURE)
    first, second = (
        denoise(model, request, render_of(request), text, image, seed=seed, reporter=Recorder()) for seed in (1, 2)
    )
    assert first.equal(latents_of(model, request, PICTURE, seed=1))
    assert second.equal(latents_of(model, request, PICTURE, seed=2))
    assert not first.equal(second)


@settings(max_examples=6, deadline=None)
@given(width=st.integers(2, 5), height=st.integers(2, 5), frames=st.integers(0, 2), seed=st.integers(0, 2**53 - 1))
def test_any_size_that_the_model_can_render_is_rendered(models, width, height, frames, seed) -> None:
    request = ask(T2V, width=16 * width, height=16 * height, num_frames=4 * frames + 1, steps=1)
    made = frames_of(models(T2V), latents_of(models(T2V), request, seed=seed))
    assert made.shape == (4 * frames + 1, 16 * height, 16 * width, 3)


@pytest.mark.parametrize(("model_type", "images"), [(T2V, ()), (I2V, (PICTURE,))])
def test_a_run_leaves_the_pipeline_as_it_was(models, model_type, images) -> None:
    import torch

    pipeline, state = models(model_type).pipeline, torch.get_rng_state()
    scheduler = pipeline.scheduler
    latents_of(models(model_type), ask(model_type, flow_shift=9.0), *images)
    assert pipeline.scheduler is scheduler
    assert pipeline.prepared is None
    assert torch.get_rng_state().equal(state)


def test_requests_with_other_schedules_do_not_mix(models) -> None:
    model = models(TI2V)
    before = latents_of(model, ask(TI2V))
    other = latents_of(model, ask(TI2V, flow_shift=1.0, steps=3))
    assert not other.equal(before)
    assert latents_of(model, ask(TI2V)).equal(before)


def test_the_image_pipeline_still_takes_a_picture_itself(models) -> None:
    """Where nothing was prepared it is diffusers' own."""
    model, request = models(I2V), ask(I2V)
    with bare(model.image, request) as theirs:
        expected = called(theirs, request, PICTURE)
        model.image.scheduler, before = theirs.scheduler, model.image.scheduler
    ours = called(model.image, request, PICTURE)
    model.image.scheduler = before
    assert ours.equal(expected)


@pytest.mark.parametrize(
    ("part", "doing"),
    [
        ("text_encoder.encoder", "encoding the prompt"),
        ("vae.encoder", "encoding the image"),
        ("vae.decoder", "decoding"),
    ],
)
def test_running_out_of_memory_has_its_name_in_every_phase(models, part, doing) -> None:
    def burst(*_: object) -> None:
        raise MemoryError

    model, request = models(TI2V), ask(TI2V)
    handle = (
        model.pipeline.components[part.split(".")[0]].get_submodule(part.split(".")[1]).register_forward_pre_hook(burst)
    )
    with pytest.raises(OutOfMemory, match=f"while {doing}"):
        frames_of(model, latents_of(model, request, PICTURE))
    handle.remove()

"""Phase by phase gives what diffusers' own call gives in one go, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from pipelines_kit import (
    I2V,
    LAST_PICTURE,
    PICTURE,
    SIDE,
    T2V,
    TI2V,
    ask,
    bare,
    called,
    frames_of,
    latents_of,
    through_vae,
)

from wan22.media.uploads import fit

CASES = {
    "text to video, two experts": (T2V, ()),
    "first frame, two experts": (I2V, (PICTURE,)),
    "first and last frame": (I2V, (PICTURE, LAST_PICTURE)),
    "text to video, one transformer": (TI2V, ()),
    "first frame, one transformer": (TI2V, (PICTURE,)),
}
every_case = pytest.mark.parametrize(("model_type", "images"), CASES.values(), ids=CASES)


def fitted(images):
    return [fit(image, SIDE, SIDE) for image in images]


@every_case
def test_latents_are_those_of_one_call(models, model_type, images) -> None:
    model, request = models(model_type), ask(model_type)
    with bare(model.image if images else model.text, request) as pipeline:
        expected = called(pipeline, request, *fitted(images))
    assert latents_of(model, request, *images).equal(expected)


@every_case
def test_frames_are_those_of_one_call(models, model_type, images) -> None:
    model, request = models(model_type), ask(model_type)
    with bare(model.image if images else model.text, request) as pipeline:
        (expected,) = called(pipeline, request, *fitted(images), output_type="np")
    frames = frames_of(model, latents_of(model, request, *images))
    assert np.array_equal(frames, (expected * 255).round().astype(np.uint8))


@pytest.mark.parametrize("model_type", [T2V, TI2V])
def test_a_single_frame_is_a_picture_from_a_text(models, model_type) -> None:
    model, request = models(model_type), ask(model_type, mode="image", num_frames=1)
    with bare(model.text, request) as pipeline:
        expected = called(pipeline, request)
    latents = latents_of(model, request)
    assert latents.equal(expected)
    assert frames_of(model, latents).shape == (1, SIDE, SIDE, 3)


@pytest.mark.parametrize("model_type", [T2V, I2V, TI2V])
def test_weights_loaded_by_diffusers_itself_give_the_same(models, demos, model_type) -> None:
    """Not to the bit: where weights lie in memory changes the last one."""
    import diffusers
    import torch

    model, request = models(model_type), ask(model_type)
    images = (PICTURE,) if model_type is I2V else ()
    pipeline = diffusers.DiffusionPipeline.from_pretrained(
        demos(model_type), dtype=torch.float32, local_files_only=True
    )
    with bare(pipeline, request) as theirs:
        expected = called(theirs, request, *fitted(images))
    assert torch.allclose(latents_of(model, request, *images), expected, atol=1e-5)


@pytest.mark.parametrize("each_token", [False, True])
def test_5b_from_text_says_one_timestep_for_all_tokens(models, each_token) -> None:
    """To the bit what diffusers does when it is told to, and nearly what it does by itself, one for each token."""
    model, request, said = models(TI2V), ask(TI2V), []
    with bare(model.text, request) as pipeline:
        pipeline.register_to_config(expand_timesteps=each_token)
        expected = called(pipeline, request)
    hook = model.experts[0].register_forward_pre_hook(
        lambda _, args, given: said.append(given["timestep"].shape), with_kwargs=True
    )
    latents = latents_of(model, request)
    hook.remove()
    assert set(said) == {(1,)}
    assert (latents - expected).abs().max() < 2e-5
    assert latents.equal(expected) is not each_token


def test_the_same_seed_gives_the_same_frames_and_another_one_others(models) -> None:
    model, request = models(T2V), ask(T2V)
    first, again = (frames_of(model, latents_of(model, request)) for _ in range(2))
    other = frames_of(model, latents_of(model, request, seed=8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_another_prompt_gives_other_latents(models) -> None:
    model = models(TI2V)
    assert not latents_of(model, ask(TI2V)).equal(latents_of(model, ask(TI2V, prompt="a red circle")))


@pytest.mark.parametrize("size", [(128, 64), (64, 128)])
def test_a_picture_covers_the_frame_and_is_not_stretched(models, size) -> None:
    """The first frame of the 5B model is the picture itself, through the VAE."""
    width, height = size
    model, request = models(TI2V), ask(TI2V, width=width, height=height)
    first = frames_of(model, latents_of(model, request, PICTURE))[0]
    whole, stretched = (through_vae(model, picture, width, height) for picture in (PICTURE, PICTURE.resize(size)))
    assert first.shape == whole.shape
    assert np.abs(first - whole).mean() < 1 < np.abs(first - stretched).mean()

"""Decoding a few frames at a time gives what the VAE gives in one go."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pipelines_kit import SIDE, T2V, TI2V, Recorder, counting, frames_of, load_from

from wan22.errors import GenerationFailed
from wan22.pipelines.finite import must_be_finite
from wan22.pipelines.latents import denormalised, normalised
from wan22.pipelines.phases import decode
from wan22.tasks import Phase

both = pytest.mark.parametrize("model_type", [T2V, TI2V])


def random_latents(model, *, frames: int = 3, side: int = SIDE):
    import torch

    config = model.vae.config
    shape = (1, config.z_dim, frames, side // config.scale_factor_spatial, side // config.scale_factor_spatial)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def at_once(model, latents) -> np.ndarray:
    """All frames by the VAE's own `decode` and diffusers' way to bytes."""
    import torch

    with torch.no_grad():
        pixels = model.vae.decode(denormalised(model.vae, latents)).sample
    clip = model.pipeline.video_processor.postprocess_video(pixels, output_type="np")[0]
    return (clip * 255).round().astype(np.uint8)


@both
@pytest.mark.parametrize("frames", [1, 2, 4])
def test_streaming_gives_the_frames_of_one_call(models, model_type, frames) -> None:
    model = models(model_type)
    latents = random_latents(model, frames=frames)
    streamed = frames_of(model, latents)
    assert streamed.shape == (4 * (frames - 1) + 1, SIDE, SIDE, 3)
    assert streamed.dtype == np.uint8
    assert np.array_equal(streamed, at_once(model, latents))


@both
def test_tiles_give_the_frames_of_one_call(demos, model_type) -> None:
    model = load_from(demos(model_type), model_type)
    latents, reporter = random_latents(model, side=160), Recorder()
    whole = at_once(model, latents)
    model.vae.enable_tiling(64, 64, 48, 48)
    tiled = frames_of(model, latents, reporter)
    away = np.abs(tiled.astype(int) - at_once(model, latents).astype(int))
    assert away.max() <= 1, "a value at the border of two may be rounded to either"
    assert (away > 0).mean() < 1e-5
    assert not np.array_equal(tiled, whole)
    assert reporter.checks[Phase.DECODE] == 16 * 3 * len(model.vae.decoder.up_blocks)


@both
@pytest.mark.parametrize("tiles", [1, 16])
def test_the_first_frame_is_there_before_the_next_latent_frame_is_begun(demos, model_type, tiles) -> None:
    model = load_from(demos(model_type), model_type)
    model.vae.enable_tiling(*([64, 64, 48, 48] if tiles > 1 else []))
    with counting(model.vae.decoder) as calls:
        calls_by_frame = [calls[0] for _ in decode(model, random_latents(model, side=160), Recorder())]
    assert calls_by_frame == [tiles] + 4 * [2 * tiles] + 4 * [3 * tiles]


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_pixels_that_are_no_numbers_end_the_run_with_a_cure(demos, value) -> None:
    """An infinity too, which the clamp would make a white pixel of."""
    import torch

    model = load_from(demos(TI2V), TI2V)
    with torch.no_grad():
        model.vae.decoder.conv_out.bias[0] = value
    with pytest.raises(GenerationFailed, match=r"while decoding\. Ask for another seed or another size\.$"):
        frames_of(model, random_latents(model))
    assert set(model.vae._feat_map) == {None}


def test_a_wider_precision_is_a_cure_where_there_is_one(models) -> None:
    import torch

    model = models(TI2V)
    narrow = SimpleNamespace(experts=model.experts, dtypes={"transformer": "bf16"})
    must_be_finite(torch.zeros(1), "decoding", narrow)
    with pytest.raises(GenerationFailed, match=r"Ask for quantization fp32; or ask for another seed"):
        must_be_finite(torch.tensor([float("nan")]), "decoding", narrow)


@both
def test_frames_come_one_chunk_after_the_other(models, model_type) -> None:
    model, reporter = models(model_type), Recorder()
    stream, blocks = decode(model, random_latents(model), reporter), len(model.vae.decoder.up_blocks)
    checks = [reporter.checks[Phase.DECODE] for _ in stream]
    assert checks == [blocks] + 4 * [2 * blocks] + 4 * [3 * blocks]


@both
def test_an_abandoned_stream_keeps_nothing_and_harms_nothing(models, model_type) -> None:
    model = models(model_type)
    latents = random_latents(model)
    before = frames_of(model, latents)
    stream = decode(model, latents, Recorder())
    next(stream)
    stream.close()
    assert set(model.vae._feat_map) == {None}
    assert np.array_equal(frames_of(model, latents), before)


def test_progress_grows_to_one(models) -> None:
    reporter = Recorder()
    frames_of(models(T2V), random_latents(models(T2V)), reporter)
    fractions = [fraction for fraction, _, _ in reporter.told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(fractions) > 3


@both
def test_normalising_is_undone(models, model_type) -> None:
    vae, latents = models(model_type).vae, random_latents(models(model_type))
    assert (normalised(vae, denormalised(vae, latents)) - latents).abs().max() < 1e-5

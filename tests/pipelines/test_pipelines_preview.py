"""Previews: pictures of about the right colours, not too often."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image
from pipelines_kit import SIDE, T2V, TI2V, Recorder, ask, ask_still, latents_of, render_of

from wan22.pipelines.phases import encode_image
from wan22.pipelines.preview import INTERVAL_S, MAX_SHARE, PreviewMap, Previews, fit_preview_map


class Clock:
    """Time that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("model_type", [T2V, TI2V])
def test_a_run_shows_a_jpeg_of_the_frame_s_aspect(models, model_type) -> None:
    reporter = Recorder()
    latents_of(models(model_type), ask(model_type, width=128), reporter=reporter)
    jpeg, width, height = reporter.previews[0]
    picture = Image.open(io.BytesIO(jpeg))
    assert picture.format == "JPEG"
    assert picture.size == (width, height) == (320, 160)


def test_a_preview_has_the_colours_of_the_picture(models) -> None:
    model, request = models(TI2V), ask_still(TI2V, strength=0.5)
    flag = Image.new("RGB", (SIDE, SIDE), (220, 30, 30))
    flag.paste((30, 30, 220), (0, SIDE // 2, SIDE, SIDE))
    start = encode_image(model, request, render_of(request), flag, None, reporter=Recorder()).start
    pixels = np.asarray(model.preview_map.paint(start)).astype(int)
    assert pixels[20].mean(0)[0] > pixels[20].mean(0)[2] + 50
    assert pixels[-20].mean(0)[2] > pixels[-20].mean(0)[0] + 50


@pytest.mark.parametrize("weight", [0.0, float("nan")])
def test_a_vae_that_tells_nothing_has_no_previews(demos, weight) -> None:
    import torch
    from diffusers import AutoencoderKLWan

    vae = AutoencoderKLWan.from_pretrained(demos(T2V) / "vae")
    with torch.no_grad():
        vae.quant_conv.weight.fill_(weight)
    assert fit_preview_map(vae) is None


def test_without_a_map_nothing_is_shown(models) -> None:
    import torch

    reporter = Recorder()
    Previews(None, reporter).offer(torch.zeros(1, 48, 1, 2, 2))
    assert not reporter.previews


def test_previews_keep_their_distance(models) -> None:
    import torch

    clock, reporter = Clock(), Recorder()
    previews = Previews(models(TI2V).preview_map, reporter, clock=clock)
    for _ in range(20):
        previews.offer(torch.zeros(1, 48, 1, 2, 2))
        clock.now += INTERVAL_S / 4
    assert len(reporter.previews) == 5


def test_what_a_preview_costs_decides_when_the_next_may_come(models) -> None:
    import torch

    clock, reporter = Clock(), Recorder()

    class SlowMap(PreviewMap):
        def paint(self, latents):
            clock.now += 3.0
            return super().paint(latents)

    slow = SlowMap(models(TI2V).preview_map.weights)
    previews = Previews(slow, reporter, clock=clock)
    previews.offer(torch.zeros(1, 48, 1, 2, 2))
    clock.now = 3.0 / MAX_SHARE - 0.1
    previews.offer(torch.zeros(1, 48, 1, 2, 2))
    assert len(reporter.previews) == 1
    clock.now = 3.0 / MAX_SHARE
    previews.offer(torch.zeros(1, 48, 1, 2, 2))
    assert len(reporter.previews) == 2


def test_a_preview_changes_no_number(models) -> None:
    model = models(T2V)
    expected = latents_of(model, ask(T2V))
    reporter, without = Recorder(), dataclasses.replace(model, preview_map=None)
    assert latents_of(without, ask(T2V), reporter=reporter).equal(expected)
    assert not reporter.previews


def test_fitting_the_map_draws_no_random_number_and_leaves_nothing_in_the_vae(models) -> None:
    import torch

    vae, state = models(TI2V).vae, torch.get_rng_state()
    assert fit_preview_map(vae).weights.equal(models(TI2V).preview_map.weights)
    assert torch.get_rng_state().equal(state)
    assert set(vae._enc_feat_map) == {None}

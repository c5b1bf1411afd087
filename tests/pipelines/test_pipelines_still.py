"""Image to image: strength says how much may change, from hardly anything to everything."""

from __future__ import annotations

import numpy as np
import pytest
from pipelines_kit import (
    I2V,
    PICTURE,
    SIDE,
    TI2V,
    Recorder,
    ask_still,
    counting,
    frames_of,
    latents_of,
    render_of,
    through_vae,
)

from wan22.models.catalogue import DEFAULT_STRENGTH
from wan22.pipelines.phases import encode_image

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
both = pytest.mark.parametrize("model_type", [I2V, TI2V])


@both
def test_the_weaker_the_closer_to_the_picture(models, model_type) -> None:
    model, distances = models(model_type), []
    request = ask_still(model_type, strength=0.25)
    start = encode_image(model, request, render_of(request), PICTURE, None, reporter=Recorder()).start
    for strength in STRENGTHS:
        latents = latents_of(model, ask_still(model_type, strength=strength), PICTURE)
        distances.append((latents - start).square().mean().item())
    assert distances == sorted(distances)
    assert distances[0] < distances[-1] / 2


@both
def test_a_weak_change_still_looks_like_the_picture(models, model_type) -> None:
    model, distances = models(model_type), []
    expected = through_vae(model, PICTURE, SIDE, SIDE)
    for strength in (0.25, 1.0):
        request = ask_still(model_type, strength=strength).model_copy(update={"flow_shift": 1.0, "steps": 8})
        (frame,) = frames_of(model, latents_of(model, request, PICTURE))
        distances.append(np.abs(frame - expected).mean())
    assert distances[0] < distances[1]


def test_full_strength_is_the_text_alone(models) -> None:
    model = models(TI2V)
    assert latents_of(model, ask_still(TI2V, strength=1.0), PICTURE).equal(latents_of(model, ask_still(TI2V)))


@both
@pytest.mark.parametrize(
    ("strength", "flow_shift", "steps"),
    [(0.01, 1.0, 1), (0.6, 1.0, 2), (1.0, 1.0, 4), (0.6, 3.0, 1), (0.8, 3.0, 2), (1.0, 3.0, 4)],
)
def test_only_steps_with_no_more_noise_than_asked_run_and_are_counted(
    models, model_type, strength, flow_shift, steps
) -> None:
    """The shift leaves fewer of them: on a grid of four, sigmas are about 1, 3/4, 1/2, 1/4, or 1, 0.9, 3/4, 1/2."""
    model, reporter = models(model_type), Recorder()
    request = ask_still(model_type, strength=strength).model_copy(update={"flow_shift": flow_shift})
    with counting(*model.experts) as counts:
        latents_of(model, request, PICTURE, reporter=reporter)
    assert sum(counts) == 2 * steps
    assert reporter.told[-1] == (1.0, steps, steps)


@both
def test_the_default_strength_keeps_the_picture(models, model_type) -> None:
    """At a usual shift, where a share of the steps would begin at nine tenths of noise."""
    model = models(model_type)
    request = ask_still(model_type, strength=DEFAULT_STRENGTH).model_copy(update={"flow_shift": 5.0, "steps": 16})
    start = encode_image(model, request, render_of(request), PICTURE, None, reporter=Recorder()).start
    kept, lost = (
        np.corrcoef(latents_of(model, other, PICTURE).flatten(), start.flatten())[0, 1]
        for other in (request, request.model_copy(update={"strength": 1.0}))
    )
    assert kept > abs(lost) + 0.2


def test_the_picture_is_not_pinned_as_a_frame(models) -> None:
    """A first frame would be given back whatever the strength: the mask says that no frame is given."""
    model, request = models(I2V), ask_still(I2V, strength=0.5)
    condition = encode_image(model, request, render_of(request), PICTURE, None, reporter=Recorder())
    mask, content = condition.frames.latents[:, :4], condition.frames.latents[:, 4:]
    assert not mask.any()
    other = encode_image(model, request, render_of(request), PICTURE.rotate(180), None, reporter=Recorder())
    assert content.equal(other.frames.latents[:, 4:])
    assert not condition.start.equal(other.start)


def test_without_a_picture_nothing_is_encoded(models) -> None:
    request, reporter = ask_still(TI2V), Recorder()
    assert encode_image(models(TI2V), request, render_of(request), None, None, reporter=reporter) is None
    assert not reporter.phases

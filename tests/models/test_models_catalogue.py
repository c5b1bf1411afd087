"""The models' figures are Wan's own, and consistent with the limits around them."""

from __future__ import annotations

import pytest
from models_kit import I2V, T2V, TI2V

from wan22.models.catalogue import FPS_CHOICES, MAX_AREA, MAX_SIDE, SMALL_AREA, SPECS
from wan22.tasks import ModelType

OFFICIAL = {  # wan/configs of the official repository: steps, (high, low) guidance, shift, boundary, fps, frames
    T2V: (40, (4.0, 3.0), 12.0, 0.875, 16, 81),
    I2V: (40, (3.5, 3.5), 5.0, 0.9, 16, 81),
    TI2V: (50, (5.0, None), 5.0, None, 24, 121),
}


@pytest.mark.parametrize("model_type", ModelType)
def test_the_defaults_are_the_official_ones(model_type: ModelType) -> None:
    spec = SPECS[model_type]
    said = spec.defaults
    guidance = (said.guidance_scale, said.guidance_scale_2)
    found = (said.steps, guidance, said.flow_shift, spec.boundary_ratio, spec.fps, spec.max_frames)
    assert found == OFFICIAL[model_type]


@pytest.mark.parametrize("model_type", ModelType)
def test_every_default_can_be_rendered_as_it_is(model_type: ModelType) -> None:
    spec = SPECS[model_type]
    assert spec.width % spec.size_multiple == spec.height % spec.size_multiple == 0
    assert (spec.max_frames - 1) % spec.temporal_stride == 0
    assert spec.fps in FPS_CHOICES


@pytest.mark.parametrize("model_type", ModelType)
def test_demo_weights_have_defaults_of_their_own(model_type: ModelType) -> None:
    spec = SPECS[model_type]
    assert spec.demo_defaults.steps == {T2V: 10, I2V: 12, TI2V: 16}[model_type]
    assert spec.demo_defaults.flow_shift == (5.0 if model_type is TI2V else 3.0)
    guidance = {T2V: (4.0, 3.0), I2V: (3.5, 2.0), TI2V: (3.0, None)}
    assert (spec.demo_defaults.guidance_scale, spec.demo_defaults.guidance_scale_2) == guidance[model_type]


@pytest.mark.parametrize(
    ("model_type", "area", "shift"),
    [
        (T2V, 854 * 480, 12.0),
        (T2V, 1280 * 720, 12.0),
        (I2V, 832 * 480, 3.0),
        (I2V, SMALL_AREA, 3.0),
        (I2V, SMALL_AREA + 2, 5.0),
        (I2V, 1280 * 720, 5.0),
        (TI2V, 480 * 480, 5.0),
    ],
)
def test_image_to_video_shifts_less_at_480p(model_type: ModelType, area: int, shift: float) -> None:
    assert SPECS[model_type].defaults.flow_shift_for(area) == shift


@pytest.mark.parametrize(("model_type", "in_bf16"), [(T2V, 68.8), (I2V, 68.8), (TI2V, 22.8)])
def test_the_size_of_the_real_weights(model_type: ModelType, in_bf16: float) -> None:
    """GB: both experts, the text encoder and the VAE."""
    assert round(2 * sum(SPECS[model_type].parameters.values()) / 1e9, 1) == in_bf16


def test_the_negative_prompt_is_wans_own_list() -> None:
    words = SPECS[T2V].negative_prompt.split("，")
    assert (len(words), words[0], words[-1]) == (28, "色调艳丽", "倒着走")


def test_the_second_transformer_is_asked_for_where_there_is_a_boundary() -> None:
    assert [("transformer_2" in SPECS[model].components) for model in (T2V, I2V, TI2V)] == [True, True, False]


def test_the_largest_size_is_within_the_models_positions() -> None:
    """1024 tokens an axis, 16 pixels each, and the longest strip of the largest area."""
    assert MAX_SIDE <= 1024 * 16
    assert 1920 * 1080 < MAX_AREA < MAX_SIDE**2

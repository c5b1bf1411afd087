"""What is rendered always yields exactly what was asked for, and no more is rendered than that takes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_kit import DEMO_NATIVE_AREA, I2V, T2V, TI2V

from wan22.models.catalogue import MAX_SIDE, MIN_SIDE, SPECS
from wan22.models.geometry import MAX_OVER_NATIVE, kept_frames, render_for
from wan22.tasks import ModelType, Render

sides = st.integers(MIN_SIDE // 2, MAX_SIDE // 2).map(lambda half: 2 * half)
models = st.sampled_from(ModelType)
native_areas = st.integers(64 * 64, 1280 * 720)


def render(
    model: ModelType, width: int, height: int, *, frames: int = 16, native: int | None = None, keep_last: bool = False
) -> Render:
    return render_for(
        width=width, height=height, num_frames=frames, spec=SPECS[model], native_area=native, keep_last=keep_last
    )


def is_multiple(made: Render, model: ModelType) -> bool:
    return made.width % SPECS[model].size_multiple == made.height % SPECS[model].size_multiple == 0


def is_scaled(made: Render) -> bool:
    """Whether the kept part is enlarged to the asked size."""
    return (made.crop_width, made.crop_height) != (made.output_width, made.output_height)


@pytest.mark.parametrize(
    ("model", "asked", "rendered"),
    [
        (T2V, (1280, 720), (1280, 720)),
        (T2V, (854, 480), (864, 480)),
        (T2V, (1920, 1080), (1920, 1088)),
        (TI2V, (1280, 720), (1280, 736)),
        (TI2V, (1280, 704), (1280, 704)),
        (I2V, (480, 854), (480, 864)),
    ],
)
def test_real_weights_render_the_next_multiple(
    model: ModelType, asked: tuple[int, int], rendered: tuple[int, int]
) -> None:
    made = render(model, *asked)
    assert (made.width, made.height) == rendered
    assert (made.crop_width, made.crop_height) == (made.output_width, made.output_height) == asked
    assert not is_scaled(made)


@pytest.mark.parametrize(
    ("model", "asked", "rendered", "crop"),
    [
        (T2V, (1280, 720), (224, 128), (224, 126)),
        (TI2V, (1280, 720), (224, 128), (224, 126)),
        (TI2V, (1280, 704), (224, 128), (220, 121)),
        (TI2V, (1920, 1080), (224, 128), (224, 126)),
        (I2V, (720, 1280), (128, 224), (126, 224)),
        (TI2V, (960, 960), (160, 160), (160, 160)),
        (T2V, (960, 960), (176, 176), (176, 176)),
        (TI2V, (640, 480), (192, 160), (192, 144)),
        (T2V, (224, 128), (224, 128), (224, 128)),
        (TI2V, (220, 140), (224, 160), (220, 140)),  # a little over, and rendered without scaling
    ],
)
def test_demo_weights_render_near_the_size_they_know(
    model: ModelType, asked: tuple[int, int], rendered: tuple[int, int], crop: tuple[int, int]
) -> None:
    made = render(model, *asked, native=DEMO_NATIVE_AREA)
    assert ((made.width, made.height), (made.crop_width, made.crop_height)) == (rendered, crop)
    assert is_scaled(made) == (crop != asked)


@given(models, sides, sides)
def test_without_a_native_area_nothing_is_scaled_and_nothing_too_much_is_rendered(
    model: ModelType, width: int, height: int
) -> None:
    made = render(model, width, height)
    multiple = SPECS[model].size_multiple
    assert is_multiple(made, model)
    assert (made.crop_width, made.crop_height) == (width, height)
    assert 0 <= made.width - width < multiple
    assert 0 <= made.height - height < multiple


@given(models, sides, sides, native_areas)
def test_with_a_native_area_the_crop_has_the_asked_aspect(
    model: ModelType, width: int, height: int, native: int
) -> None:
    made = render(model, width, height, native=native)
    assert is_multiple(made, model)
    assert 0 < made.crop_width <= min(made.width, width)
    assert 0 < made.crop_height <= min(made.height, height)
    assert (made.output_width, made.output_height) == (width, height)
    assert abs(made.crop_width * height / (made.crop_height * width) - 1) < 0.02


@given(models, sides, sides, native_areas)
def test_a_scaled_render_stays_near_the_native_area(model: ModelType, width: int, height: int, native: int) -> None:
    made = render(model, width, height, native=native)
    assert not is_scaled(made) or made.width * made.height <= native * MAX_OVER_NATIVE
    assert width * height > native or not is_scaled(made)


@given(sides, sides)
def test_ordinary_shapes_use_most_of_what_the_demo_renders(width: int, height: int) -> None:
    if not (1 / 3 < width / height < 3 and width * height > 2 * DEMO_NATIVE_AREA):
        return
    for model in ModelType:
        made = render(model, width, height, native=DEMO_NATIVE_AREA)
        assert made.crop_width * made.crop_height > 0.78 * made.width * made.height
        assert made.width * made.height > 0.7 * DEMO_NATIVE_AREA


@pytest.mark.parametrize(("width", "height"), [(64, 4096), (4096, 64), (66, 2000)])
def test_nothing_is_rendered_so_narrow_that_kernels_fail(width: int, height: int) -> None:
    made = render_for(
        width=width, height=height, num_frames=5, spec=SPECS[TI2V], native_area=DEMO_NATIVE_AREA, keep_last=False
    )
    assert min(made.width, made.height) >= MIN_SIDE


@given(models, sides, sides, st.none() | native_areas)
def test_portrait_is_landscape_on_its_side(model: ModelType, width: int, height: int, native: int | None) -> None:
    one, other = render(model, width, height, native=native), render(model, height, width, native=native)
    assert (one.width, one.height) == (other.height, other.width)
    assert (one.crop_width, one.crop_height) == (other.crop_height, other.crop_width)


@given(st.integers(1, 121), st.booleans())
def test_exactly_the_asked_frames_are_kept(frames: int, keep_last: bool) -> None:
    made = render(TI2V, 1280, 704, frames=frames, keep_last=keep_last)
    assert made.num_frames % 4 == 1
    assert frames <= made.num_frames < frames + 4
    assert len(made.keep) == frames
    assert list(made.keep) == sorted(set(made.keep))
    assert made.keep[0] == 0
    assert made.keep[-1] == (made.num_frames - 1 if keep_last and frames > 1 else frames - 1)


@given(st.integers(5, 121))
def test_frames_dropped_from_the_inside_are_far_apart(frames: int) -> None:
    kept = kept_frames(4 * -(-(frames - 1) // 4) + 1, frames, keep_last=True)
    jumps = [at for at, (one, other) in enumerate(pairwise(kept)) if other - one > 1]
    assert all(kept[at + 1] - kept[at] == 2 for at in jumps)
    assert all(other - one >= (frames - 1) // 4 for one, other in pairwise(jumps))


def test_six_frames_from_first_to_last() -> None:
    assert kept_frames(9, 6, keep_last=True) == (0, 2, 3, 5, 6, 8)
    assert kept_frames(9, 6, keep_last=False) == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("made", "summary"),
    [
        (
            render(T2V, 1280, 720, native=DEMO_NATIVE_AREA),
            "Rendered at 224x128, 17 frames; trimmed to 16 frames, cropped to 224x126, enlarged to 1280x720.",
        ),
        (
            render(TI2V, 1280, 720, native=DEMO_NATIVE_AREA, frames=17),
            "Rendered at 224x128, 17 frames; cropped to 224x126, enlarged to 1280x720.",
        ),
        (render(T2V, 854, 480, frames=81), "Rendered at 864x480, 81 frames; cropped to 854x480."),
        (render(TI2V, 1280, 704, frames=1), "Rendered at 1280x704, 1 frame, as asked."),
    ],
)
def test_the_summary_says_what_was_done(made: Render, summary: str) -> None:
    assert made.summary == summary

"""Sizes: every way to say one, every way to get it wrong, and a suggestion that is always right."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_kit import I2V, T2V, TI2V, ask, picture, refused

from wan22.models.catalogue import MAX_AREA, MAX_SIDE, MIN_SIDE, SPECS
from wan22.models.size import nearest_size, size_errors, size_of
from wan22.tasks import Draft, ModelType

whole = st.integers() | st.integers(0, 9_000)


@pytest.mark.parametrize(
    "said",
    [
        {"width": 854, "height": 480},
        {"resolution": "854x480"},
        {"resolution": "854*480"},
        {"resolution": "854×480"},
        {"resolution": " 854 X 480 "},
        {"resolution": "854x480", "width": 854},
        {"resolution": "854x480", "width": 854, "height": 480},
    ],
)
def test_a_size_can_be_said_in_many_ways(said: dict[str, Any]) -> None:
    request = ask(T2V, **said)
    assert (request.width, request.height) == (854, 480)


@pytest.mark.parametrize(("model", "size"), [(T2V, (1280, 720)), (TI2V, (1280, 704))])
def test_without_a_size_the_models_own_is_used(model: ModelType, size: tuple[int, int]) -> None:
    assert (ask(model).width, ask(model).height) == size


@pytest.mark.parametrize("size", ["854x480", "1024x576", "1280x720", "1920x1080", "2560x1440", "720x1280", "64x64"])
@pytest.mark.parametrize("model", [T2V, TI2V])
def test_the_promised_sizes_are_taken(model: ModelType, size: str) -> None:
    assert not refused(model, resolution=size)


@pytest.mark.parametrize(
    ("said", "field", "cure"),
    [
        ({"width": 1280}, "height", "send both sides"),
        ({"height": 720}, "width", "send both sides"),
        ({"width": 853, "height": 480}, "width", "only even sides can be encoded: send 854"),
        ({"width": 854, "height": 481}, "height", "send 482"),
        ({"resolution": "853x481"}, "resolution", "send 854x482"),
        ({"width": 0, "height": 480}, "width", "from 64 to 4096 pixels a side: send 64"),
        ({"width": -5, "height": 480}, "width", "send 64"),
        ({"width": 10**30, "height": 480}, "width", "send 4096"),
        ({"resolution": "5000x480"}, "resolution", "send 4096x480"),
        ({"width": 4096, "height": 2304}, "width", "send 2560x1440"),
        ({"resolution": "3840x2160"}, "resolution", "at most 3,686,400 pixels: send 2560x1440"),
        ({"resolution": "720p"}, "resolution", 'write it as "1280x720"'),
        ({"resolution": ""}, "resolution", "write it as"),
        ({"resolution": "1280x720x3"}, "resolution", "write it as"),
        ({"resolution": "-1280x720"}, "resolution", "write it as"),
        ({"resolution": "9999999x720"}, "resolution", "write it as"),
        ({"resolution": "1280x720", "width": 854, "height": 480}, "resolution", "send one or the other"),
        ({"resolution": "1280x720", "height": 480}, "resolution", "send one or the other"),
    ],
)
def test_a_wrong_size_is_told_with_its_cure(said: dict[str, Any], field: str, cure: str) -> None:
    errors = refused(T2V, **said)
    assert list(errors) == [field]
    assert cure in errors[field].message


def test_both_sides_are_told_at_once() -> None:
    assert set(refused(T2V, width=853, height=99_999)) == {"width", "height"}


@pytest.mark.parametrize(
    ("image", "size"),
    [
        (picture(1920, 1080), (1280, 720)),
        (picture(1921, 1080), (1280, 720)),
        (picture(1080, 1920), (720, 1280)),
        (picture(1, 1), (960, 960)),
        (picture(3000, 2000), (1176, 784)),
        (picture(4000, 4), (4096, 64)),  # thinner than the limits: the image is trimmed to them
        (picture(4, 4000), (64, 4096)),
    ],
)
def test_without_a_size_the_image_gives_the_aspect(image: Any, size: tuple[int, int]) -> None:
    request = ask(I2V, image=image)
    assert (request.width, request.height) == size


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ({"width": 1024}, (1024, 576)),
        ({"height": 480}, (854, 480)),
        ({"width": 854, "height": 854}, (854, 854)),
        ({"resolution": "640x640"}, (640, 640)),
    ],
)
def test_with_an_image_one_side_is_enough_and_two_are_taken_as_they_are(
    said: dict[str, int], size: tuple[int, int]
) -> None:
    request = ask(I2V, image=picture(1920, 1080), **said)
    assert (request.width, request.height) == size


@pytest.mark.parametrize(
    ("said", "image", "cure"),
    [
        ({"width": 128}, picture(4000, 400), "makes 128x12 with this image's shape: send both sides, such as 128x64"),
        ({"height": 480}, picture(4000, 400), "send both sides, such as 4096x480"),
        ({"width": 4096}, picture(1920, 1080), "at most 3,686,400 pixels: send 2560x1440"),
        ({"height": 481}, picture(1920, 1080), "send 482"),
    ],
)
def test_one_side_and_an_image_that_make_no_size(said: dict[str, int], image: Any, cure: str) -> None:
    errors = refused(I2V, image=image, **said)
    assert list(errors) == list(said)
    assert cure in next(iter(errors.values())).message


@given(whole, whole)
def test_the_suggested_size_is_always_taken(width: int, height: int) -> None:
    suggested = nearest_size(width, height)
    draft = Draft(width=suggested[0], height=suggested[1])
    assert not list(size_errors(draft, SPECS[T2V], None))


@given(st.integers(MIN_SIDE // 2, 1000), st.integers(MIN_SIDE // 2, 900))
def test_a_size_that_is_right_is_its_own_suggestion(half_width: int, half_height: int) -> None:
    assert nearest_size(2 * half_width, 2 * half_height) == (2 * half_width, 2 * half_height)


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.sampled_from([I2V, TI2V]))
def test_any_image_gives_a_size_within_the_limits(width: int, height: int, model: ModelType) -> None:
    made = size_of(Draft(), SPECS[model], picture(width, height))
    assert all(side % 2 == 0 and MIN_SIDE <= side <= MAX_SIDE for side in made)
    assert made[0] * made[1] <= MAX_AREA
    if 1 / 4 < width / height < 4:
        assert made[0] / made[1] == pytest.approx(width / height, rel=0.01)
        assert made[0] * made[1] == pytest.approx(SPECS[model].width * SPECS[model].height, rel=0.01)


@given(st.none() | whole, st.none() | whole, st.none() | st.text(max_size=12), st.booleans())
def test_a_size_with_no_errors_is_within_the_limits(
    width: int | None, height: int | None, resolution: str | None, with_image: bool
) -> None:
    draft = Draft(width=width, height=height, resolution=resolution)
    image = picture(1000, 700) if with_image else None
    if not list(size_errors(draft, SPECS[TI2V], image)):
        made = size_of(draft, SPECS[TI2V], image)
        assert all(side % 2 == 0 and MIN_SIDE <= side <= MAX_SIDE for side in made)
        assert made[0] * made[1] <= MAX_AREA

"""A draft becomes a request with every default filled in, or is refused; nothing else can happen."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_kit import I2V, SEED, T2V, TI2V, ask, by_field, demo, dev, picture, understand

from wan22.errors import FieldError, InvalidRequest
from wan22.models.catalogue import FPS_CHOICES, MAX_AREA, SPECS
from wan22.tasks import Draft, ImageRef, ModelType, Request
from wan22.tasks.request import MAX_SEED, OutputFormat, Quality, Quantization


def test_a_bare_text_gets_every_default() -> None:
    request = ask(T2V)
    assert request == Request(
        model_type=T2V,
        mode="video",
        prompt="a cat",
        negative_prompt=SPECS[T2V].negative_prompt,
        width=1280,
        height=720,
        num_frames=16,
        fps=16,
        steps=40,
        guidance_scale=4.0,
        guidance_scale_2=3.0,
        flow_shift=12.0,
        seed=SEED,
        output_format="mp4",
        quality="high",
    )


@pytest.mark.parametrize(
    ("said", "resolution", "fps", "steps"),
    [
        ({"width": 1280, "height": 720, "num_frames": 16, "fps": 24}, (1280, 720), 24, 40),
        ({"resolution": "1920x1080", "steps": 50, "enable_optimization": True}, (1920, 1080), 16, 50),
    ],
)
def test_the_two_example_calls_are_understood(
    said: dict[str, Any], resolution: tuple[int, int], fps: int, steps: int
) -> None:
    request = ask(T2V, **said)
    assert ((request.width, request.height), request.fps, request.steps) == (resolution, fps, steps)


@pytest.mark.parametrize(
    ("model", "said", "guidance"),
    [
        (T2V, {}, (4.0, 3.0)),
        (T2V, {"guidance_scale": 6.0}, (6.0, 3.0)),
        (T2V, {"guidance_scale": 1.0}, (1.0, 1.0)),
        (T2V, {"guidance_scale": 0.0}, (0.0, 0.0)),
        (T2V, {"guidance_scale": 1.0, "guidance_scale_2": 2.0}, (1.0, 2.0)),
        (T2V, {"guidance_scale_2": 2.0}, (4.0, 2.0)),
        (TI2V, {}, (5.0, None)),
        (TI2V, {"guidance_scale": 1.0}, (1.0, None)),
    ],
)
def test_guidance_of_both_experts(model: ModelType, said: dict[str, float], guidance: tuple[float, float]) -> None:
    request = ask(model, **said)
    assert (request.guidance_scale, request.guidance_scale_2) == guidance


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, ("video", "mp4", 16, 16)),
        ({"output_format": "webm"}, ("video", "webm", 16, 16)),
        ({"output_format": "PNG"}, ("image", "png", 1, 1)),
        ({"output_format": "webp"}, ("image", "webp", 1, 1)),
        ({"mode": "image"}, ("image", "png", 1, 1)),
    ],
)
def test_mode_format_frames_and_rate_belong_together(said: dict[str, str], found: tuple[str, str, int, int]) -> None:
    request = ask(T2V, **said)
    assert (request.mode, request.output_format, request.num_frames, request.fps) == found


def test_what_is_sent_empty_or_zero_is_kept() -> None:
    request = ask(T2V, negative_prompt="", seed=0, priority=0, enable_optimization=False, guidance_scale=0)
    assert (request.negative_prompt, request.seed, request.guidance_scale) == ("", 0, 0)
    assert not request.enable_optimization


def test_strength_is_for_a_changed_picture_alone() -> None:
    assert ask(TI2V, mode="image", image=picture()).strength == 0.6
    assert ask(TI2V, mode="image", image=picture(), strength=0.2).strength == 0.2
    assert ask(TI2V, mode="image").strength is None
    assert ask(TI2V, image=picture()).strength is None


def test_the_shift_follows_the_size() -> None:
    assert ask(I2V, image=picture(), resolution="854x480").flow_shift == 3.0
    assert ask(I2V, image=picture(), resolution="1280x720").flow_shift == 5.0
    assert ask(I2V, image=picture(), resolution="1280x720", flow_shift=8).flow_shift == 8


def test_demo_weights_sample_by_their_own_defaults() -> None:
    request = understand(demo(T2V), Draft(model_type=T2V, prompt="a cat"))
    assert (request.steps, request.flow_shift, request.width) == (10, 3.0, 1280)


def test_the_pictures_come_from_their_check_and_not_from_the_draft() -> None:
    request = ask(I2V, image=picture(), last=picture(64, 64))
    assert (request.image, request.last_image) == (picture(), picture(64, 64))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
sides = st.sampled_from([64, 480, 720, 1280]) | st.sampled_from([480, 720, 853, 1280]) | st.integers()
counts = st.integers(1, 81) | st.integers(1, 24) | st.integers()


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


drafts = st.builds(
    Draft,
    model_type=maybe(st.sampled_from(ModelType)),
    prompt=maybe(st.text(max_size=8)),
    negative_prompt=maybe(st.text(max_size=8)),
    width=maybe(sides),
    height=maybe(sides),
    resolution=maybe(st.just("1280x720") | st.from_regex(r"[0-9]{1,5} ?[xX*×][0-9]{1,5}", fullmatch=True) | st.text()),
    num_frames=maybe(counts),
    fps=maybe(st.sampled_from(FPS_CHOICES) | counts),
    steps=maybe(st.integers(1, 200)),
    guidance_scale=maybe(st.floats(0, 30)),
    guidance_scale_2=maybe(st.floats(0, 30)),
    flow_shift=maybe(st.floats(0.01, 100)),
    seed=maybe(st.integers(0, MAX_SEED)),
    output_format=maybe(st.sampled_from(get_args(OutputFormat))),
    quality=maybe(st.sampled_from(get_args(Quality))),
    quantization=maybe(st.sampled_from(get_args(Quantization))),
    num_videos=maybe(st.integers(1, 16)),
    mode=maybe(st.sampled_from(["video", "image"])),
    strength=maybe(st.floats(0.01, 1)),
    metadata=maybe(st.dictionaries(st.text(max_size=3), json_values, max_size=3)),
)
images = maybe(st.builds(picture, st.integers(1, 20_000), st.integers(1, 20_000)))
models = st.sampled_from(ModelType)


Asked = tuple[Draft, ImageRef | None, ImageRef | None]


def errors_of(model: ModelType, asked: Asked) -> dict[str, FieldError]:
    """What is wrong with a draft and its two pictures; anything but InvalidRequest gets out."""
    draft, image, last_image = asked
    try:
        understand(dev(model), draft, image=image, last_image=last_image)
    except InvalidRequest as refusal:
        return by_field(refusal)
    return {}


def cured(model: ModelType, asked: Asked, fields: set[str]) -> Asked:
    """The same with what is missing added and every other wrong field left out."""
    draft, image, last_image = asked
    cures: dict[str, Any] = {"model_type": model, "prompt": "a cat"}
    fields |= {"width", "height"} if fields & {"width", "height"} else set()
    draft = draft.model_copy(update={field: cures.get(field) for field in fields})
    if "image" in fields:
        image = picture() if image is None else None
    return draft, image, None if "last_image" in fields else last_image


@given(models, drafts, images, images)
def test_any_draft_is_refused_or_understood_and_curing_the_named_fields_is_enough(
    model: ModelType, draft: Draft, image: ImageRef | None, last_image: ImageRef | None
) -> None:
    asked: Asked = (draft, image, last_image)
    for _ in range(5):  # a cure may uncover another fault: without the image one side is no size
        if not (errors := errors_of(model, asked)):
            break
        asked = cured(model, asked, set(errors))
    request = understand(dev(model), asked[0], image=asked[1], last_image=asked[2])
    assert 1 <= request.num_frames <= SPECS[model].max_frames
    assert request.width * request.height <= MAX_AREA
    assert (request.strength is None) == (request.mode == "video" or request.image is None)


@given(
    models,
    st.booleans(),
    st.sampled_from(["854x480", "64x4096", None]),
    st.sampled_from([None, "webm", "png"]),
    st.sampled_from([None, 0.0, 1.0, 7.5]),
)
def test_a_request_said_again_is_the_same_request(
    model: ModelType, still: bool, resolution: str | None, chosen: str | None, guidance: float | None
) -> None:
    image = None if model is T2V else picture(640, 333)
    mode = None if chosen else ("image" if still else "video")
    draft = Draft(prompt="a", resolution=resolution, output_format=chosen, mode=mode, guidance_scale=guidance)
    first = understand(demo(model), draft.model_copy(update={"model_type": model}), image=image)
    again = Draft(**first.model_dump(exclude={"image", "last_image"}))
    assert understand(dev(model), again, image=image) == first

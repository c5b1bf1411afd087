"""Each rule of each model: what is refused, by which field, with which cure; and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from models_kit import I2V, T2V, TI2V, picture, refused

from wan22.errors import InvalidRequest
from wan22.models.rules import MAX_METADATA_BYTES, MAX_METADATA_DEPTH, model_type_of
from wan22.tasks import Draft, ModelType

IMAGE = picture()


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels > 1 else {}


REFUSED: list[tuple[ModelType | None, dict[str, Any], str, str]] = [
    # text and pictures
    (T2V, {"prompt": None}, "prompt", "send a text."),
    (T2V, {"prompt": " \n"}, "prompt", "send a text."),
    (TI2V, {"prompt": ""}, "prompt", "send a text, an image or both."),
    (T2V, {"image": IMAGE}, "image", "leave it out, or use I2V-A14B or TI2V-5B."),
    (I2V, {}, "image", "I2V-A14B needs an image: send one, or use T2V-A14B or TI2V-5B for text alone."),
    (I2V, {"mode": "image"}, "image", "send one"),
    (T2V, {"last": IMAGE}, "last_image", "leave it out, or use I2V-A14B."),
    (TI2V, {"image": IMAGE, "last": IMAGE}, "last_image", "leave it out, or use I2V-A14B."),
    (I2V, {"image": IMAGE, "last": IMAGE, "mode": "image"}, "last_image", "use mode video."),
    (
        I2V,
        {"image": IMAGE, "last": IMAGE, "num_frames": 4},
        "num_frames",
        "from 5 to 81 for I2V-A14B with a last image: send 5.",
    ),
    (I2V, {"image": IMAGE, "last": IMAGE, "num_frames": 0}, "num_frames", "send 5."),
    (I2V, {"last": IMAGE, "image": IMAGE, "num_frames": 100}, "num_frames", "send 81."),
    # frames and rate
    (T2V, {"num_frames": 0}, "num_frames", "must be from 1 to 81 for T2V-A14B: send 1."),
    (T2V, {"num_frames": -3}, "num_frames", "send 1."),
    (T2V, {"num_frames": 82}, "num_frames", "send 81."),
    (TI2V, {"num_frames": 10_000}, "num_frames", "must be from 1 to 121 for TI2V-5B: send 121."),
    (T2V, {"mode": "image", "num_frames": 16}, "num_frames", "leave num_frames out, or use mode video."),
    (T2V, {"mode": "image", "num_frames": 0}, "num_frames", "a single picture is one frame"),
    (T2V, {"fps": 30}, "fps", "must be one of 8, 12, 16, 24: send 24."),
    (T2V, {"fps": 0}, "fps", "send 8."),
    (T2V, {"mode": "image", "fps": 16}, "fps", "leave fps out, or use mode video."),
    # sampling
    (TI2V, {"guidance_scale_2": 3.0}, "guidance_scale_2", "leave guidance_scale_2 out and send guidance_scale."),
    (T2V, {"strength": 0.5}, "strength", "only on an image in mode image"),
    (T2V, {"strength": 0.5, "mode": "image"}, "strength", "leave it out, or send both."),
    (I2V, {"strength": 0.5, "image": IMAGE}, "strength", "leave it out"),
    # mode and format
    (T2V, {"mode": "image", "output_format": "mp4"}, "output_format", "use mode video, or png or webp."),
    (T2V, {"mode": "image", "output_format": "gif"}, "output_format", "use mode video"),
    (T2V, {"mode": "video", "output_format": "webp"}, "output_format", "use mode image, or webm."),
    (T2V, {"mode": "video", "output_format": "png"}, "output_format", "use mode image, or mp4."),
    # the caller's own
    (T2V, {"metadata": {"a": "x" * MAX_METADATA_BYTES}}, "metadata", "at most 16,384 bytes as JSON: make it shorter."),
    (T2V, {"metadata": nested(MAX_METADATA_DEPTH + 1)}, "metadata", "make it flatter."),
    (T2V, {"metadata": nested(900)}, "metadata", "make it flatter."),
    (T2V, {"metadata": {"a": float("nan")}}, "metadata", "must be JSON: send texts, finite numbers"),
    (T2V, {"metadata": {"a": object()}}, "metadata", "must be JSON"),
    (T2V, {"metadata": {"a": "\ud800"}}, "metadata", "must be JSON"),
    (None, {}, "model_type", "T2V-A14B for a video from a text"),
]


@pytest.mark.parametrize(("model", "said", "field", "cure"), REFUSED)
def test_a_broken_rule_is_one_error_with_its_cure(
    model: ModelType | None, said: dict[str, Any], field: str, cure: str
) -> None:
    errors = refused(model, **said)
    assert list(errors) == [field]
    assert cure in errors[field].message


TAKEN: list[tuple[ModelType, dict[str, Any]]] = [
    (T2V, {"num_frames": 1}),
    (T2V, {"num_frames": 81}),
    (TI2V, {"num_frames": 121}),
    (T2V, {"mode": "image", "num_frames": 1, "fps": 1}),
    (T2V, {"output_format": "gif"}),
    (T2V, {"guidance_scale_2": 1.0}),
    (I2V, {"prompt": None, "image": IMAGE}),
    (I2V, {"image": IMAGE, "mode": "image", "strength": 1.0}),
    (I2V, {"image": IMAGE, "last": IMAGE, "num_frames": 5}),
    (I2V, {"image": IMAGE, "last": picture(300, 900)}),
    (TI2V, {"prompt": "", "image": IMAGE}),
    (TI2V, {"mode": "image"}),
    (TI2V, {"mode": "image", "prompt": "", "image": IMAGE}),
    (T2V, {"metadata": nested(MAX_METADATA_DEPTH)}),
    (T2V, {"metadata": {"a": "é" * 8_000}}),
]


@pytest.mark.parametrize(("model", "said"), TAKEN)
def test_what_is_within_the_rules_is_taken(model: ModelType, said: dict[str, Any]) -> None:
    assert not refused(model, **said)


def test_all_wrong_fields_are_told_at_once() -> None:
    said = {"width": 853, "height": 480, "num_frames": 0, "fps": 99, "strength": 0.1, "image": IMAGE, "prompt": ""}
    assert set(refused(T2V, **said)) == {"width", "num_frames", "fps", "strength", "image", "prompt"}


def test_a_last_image_needs_a_first_one() -> None:
    errors = refused(I2V, last=IMAGE)
    assert set(errors) == {"image", "last_image"}
    assert "send image too." in errors["last_image"].message


def test_an_error_carries_what_was_sent() -> None:
    assert refused(T2V, fps=99)["fps"].value == 99


def test_a_draft_without_a_model_is_told_what_each_is_for() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        model_type_of(Draft(prompt="a cat"))
    assert all(name.value in refusal.value.detail for name in ModelType)
    assert model_type_of(Draft(model_type="ti2v-5b")) is TI2V

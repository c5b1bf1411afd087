"""Each line of the report has its entry, and no entry claims what a request would be refused for."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest
from models_kit import DEMO_NATIVE_AREA, I2V, T2V, TI2V, picture, refused
from pydantic import ValidationError

from wan22.models.capabilities import TRAINED_SIZES, Line, capabilities_of
from wan22.models.catalogue import SPECS
from wan22.models.needs import ram_for, render_of, tokens_of, vram_for
from wan22.models.reported import REPORTED
from wan22.tasks import Draft, ModelType
from wan22.tasks.request import Quantization

every_model = pytest.mark.parametrize("model_type", ModelType)

SHARED = """
- **Supported Resolutions:** 854x480, 1024x576, 1280x720, 1920x1080
- **Frame Range:** 8-16 frames
- **Supported FPS:** 8, 12, 16, 24
- **Output Formats:** MP4, WebM
- **Quantization:** FP16, BF16, INT8
- **LoRA Support:** Yes
- **Batch Processing:** Yes
"""
REPORT = {
    T2V: """
**Model Type:** T2V-A14B
**Parameters:** 14 billion
**Primary Use:** Text-to-video generation
- **Input Types:** Text prompts
  - Minimum VRAM: 10GB
  - Recommended VRAM: 16GB
  - Minimum RAM: 32GB
  - CUDA Compute: 8.0+
""",
    I2V: """
**Model Type:** I2V-A14B
**Parameters:** 14 billion
**Primary Use:** Image-to-video generation
- **Input Types:** Image + optional text prompts
- **Image-to-Image:** Yes
  - Minimum VRAM: 10GB
  - Recommended VRAM: 16GB
  - Minimum RAM: 32GB
  - CUDA Compute: 8.0+
""",
    TI2V: """
**Model Type:** TI2V-5B
**Parameters:** 5 billion
**Primary Use:** Combined text and image input video generation
- **Input Types:** Text + Image prompts
- **Image-to-Image:** Yes
  - Minimum VRAM: 6GB
  - Recommended VRAM: 10GB
  - Minimum RAM: 16GB
  - CUDA Compute: 7.0+
""",
}
"""The report's own three lists."""


def report_lines(model_type: ModelType) -> dict[str, str]:
    """Title and text of every line."""
    text = (REPORT[model_type] + SHARED).replace("**", "")
    return dict(re.findall(r"^[\s-]*([\w -]+): (.+)$", text, re.MULTILINE))


def by_title(model_type: ModelType) -> dict[str, Line]:
    return {line.title: line for line in capabilities_of(SPECS[model_type]).values()}


def in_words(title: str, reported: Any) -> str:
    """A reported value as the report writes it."""
    if title.endswith(("VRAM", "RAM")):
        return f"{reported / 1e9:.0f}GB"
    if title == "Parameters":
        return f"{reported / 1e9:.0f} billion"
    if title == "Frame Range":
        return f"{reported['min']}-{reported['max']} frames"
    if title == "CUDA Compute":
        return f"{reported}+"
    if isinstance(reported, tuple):
        return ", ".join(map(str, reported))
    return "Yes" if reported is True else reported


@every_model
def test_each_line_of_the_report_has_its_entry_with_what_it_says(model_type: ModelType) -> None:
    lines, said = by_title(model_type), report_lines(model_type)
    assert len(said) == (15 if model_type is T2V else 16)
    for title, text in said.items():
        assert in_words(title, lines[title].reported).casefold() == text.casefold(), title


@every_model
def test_no_entry_says_that_the_report_has_it_when_it_does_not(model_type: ModelType) -> None:
    beyond = {title for title, line in by_title(model_type).items() if line.reported is None}
    assert beyond == by_title(model_type).keys() - report_lines(model_type).keys()
    assert "First and Last Image" in beyond


@every_model
def test_what_falls_short_of_the_report_says_why(model_type: ModelType) -> None:
    for name, line in capabilities_of(SPECS[model_type]).items():
        assert line.available or line.why, name
        assert all(option.available or option.why for option in line.options), name


@every_model
def test_every_precision_of_the_report_may_be_asked_for(model_type: ModelType) -> None:
    line = capabilities_of(SPECS[model_type])["quantization"]
    assert line.value == get_args(Quantization)
    assert line.available


FIELDS = {"resolutions": "resolution", "fps": "fps", "output_formats": "output_format"}


@every_model
@pytest.mark.parametrize("name", FIELDS)
def test_each_option_is_what_the_rules_of_submit_say(model_type: ModelType, name: str) -> None:
    image = picture() if SPECS[model_type].takes_image == "always" else None
    for option in capabilities_of(SPECS[model_type])[name].options:
        wrong = refused(model_type, image=image, **{FIELDS[name]: option.value})
        assert option.available is not bool(wrong), option


@every_model
def test_each_precision_is_one_that_a_body_may_carry(model_type: ModelType) -> None:
    for option in capabilities_of(SPECS[model_type])["quantization"].options:
        try:
            taken = bool(Draft.model_validate({"quantization": option.value}))
        except ValidationError:
            taken = False
        assert taken is option.available


INPUTS = {"text": (None, "a cat"), "image": (picture(), None), "text and image": (picture(), "a cat")}


@every_model
@pytest.mark.parametrize("kind", INPUTS)
def test_input_types_are_those_that_submit_takes(model_type: ModelType, kind: str) -> None:
    image, prompt = INPUTS[kind]
    wrong = refused(model_type, image=image, prompt=prompt)
    assert (kind in capabilities_of(SPECS[model_type])["input_types"].value) is not bool(wrong)


@every_model
@pytest.mark.parametrize(("name", "sent"), [("image_to_image", {"mode": "image"}), ("first_last_image", {})])
def test_what_can_be_done_with_images_is_what_submit_takes(
    model_type: ModelType, name: str, sent: dict[str, Any]
) -> None:
    last = picture() if name == "first_last_image" else None
    wrong = refused(model_type, image=picture(), last=last, **sent)
    line = capabilities_of(SPECS[model_type])[name]
    assert line.available is line.value is not bool(wrong)


@every_model
def test_the_frame_range_ends_where_submit_does(model_type: ModelType) -> None:
    image = picture() if SPECS[model_type].takes_image == "always" else None
    span = capabilities_of(SPECS[model_type])["frame_range"].value
    for count, fits in ((span["min"], True), (span["max"], True), (span["min"] - 1, False), (span["max"] + 1, False)):
        assert bool(refused(model_type, image=image, num_frames=count)) is not fits


def test_sizes_say_how_they_are_rendered_with_the_weights_in_use() -> None:
    told = {
        area: capabilities_of(SPECS[T2V], native_area=area)["resolutions"].options[0].why
        for area in (None, DEMO_NATIVE_AREA)
    }
    assert told[None] == "Rendered at 864x480, 17 frames; trimmed to 16 frames, cropped to 854x480."
    assert "enlarged to 854x480" in told[DEMO_NATIVE_AREA]


@every_model
def test_memory_grows_with_what_is_rendered_and_never_falls_under_the_least(model_type: ModelType) -> None:
    spec = SPECS[model_type]
    small, large = (vram_for(spec, render_of(spec, 1280, 720, frames)) for frames in (16, spec.max_frames))
    assert spec.min_vram_bytes == small.least <= small.likely <= large.likely
    assert large.least < large.likely
    assert ram_for(spec) == 2 * sum(spec.parameters.values())
    assert 0.99 < (ram_for(spec) - ram_for(spec, in_eight_bits=True)) / spec.parameters["transformer"] < 1


@pytest.mark.parametrize(("model_type", "tokens"), [(T2V, 80 * 45 * 5), (TI2V, 40 * 23 * 5)])
def test_tokens_are_patches_of_latents(model_type: ModelType, tokens: int) -> None:
    spec = SPECS[model_type]
    assert tokens_of(spec, render_of(spec, 1280, 720, 16)) == tokens


def test_the_tables_know_every_model() -> None:
    assert set(REPORTED) == set(TRAINED_SIZES) == set(ModelType)
    for model_type, sizes in TRAINED_SIZES.items():
        assert f"{SPECS[model_type].width}x{SPECS[model_type].height}" in sizes

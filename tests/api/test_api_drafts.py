"""Every wrong field of a body is named at once, in words that cure it."""

from __future__ import annotations

from typing import Any

import pytest

from wan22.api.drafts import ELSEWHERE, KNOWN, LATER, MAX_UNKNOWN, nearest_field, read_draft
from wan22.errors import InvalidRequest
from wan22.tasks import LoraUse, ModelType


def messages(**fields: Any) -> dict[str, str]:
    """What is said about each field."""
    with pytest.raises(InvalidRequest) as caught:
        read_draft(fields)
    return {error.field: error.message for error in caught.value.errors}


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("promt", "prompt"),
        ("Prompt", "prompt"),
        ("PROMPT", "prompt"),
        ("modelType", "model_type"),
        ("model-type", "model_type"),
        ("numFrames", "num_frames"),
        ("negativ_prompt", "negative_prompt"),
        ("widht", "width"),
        ("num_inference_steps", "steps"),
        ("size", "resolution"),
        ("model", "model_type"),
        ("cfg_scale", "guidance_scale"),
        ("image_url", "image"),
        ("input_reference", "image"),
        ("lora", "loras"),
    ],
)
def test_an_unknown_field_names_the_one_that_is_meant(typo: str, meant: str) -> None:
    assert messages(**{typo: 1})[typo] == f'is unknown; did you mean "{meant}"?'


def test_a_field_like_no_other_is_told_what_there_is() -> None:
    message = messages(zzzzzz=1)["zzzzzz"]
    assert "is unknown; the known ones are model_type, prompt" in message


def test_words_of_other_servers_lead_to_fields_that_exist() -> None:
    assert set(ELSEWHERE.values()) <= set(KNOWN)
    assert not set(ELSEWHERE) & set(KNOWN)
    assert nearest_field("x" * 10_000) is None


@pytest.mark.parametrize("name", LATER)
def test_a_field_of_a_later_version_is_said_to_be_one(name: str) -> None:
    assert "not served by this version yet" in messages(**{name: ["x"]})[name]
    assert read_draft({name: None, "prompt": "a cat"}).prompt == "a cat"
    assert read_draft({name: [], "prompt": "a cat"}).prompt == "a cat"


def test_a_quantization_is_read_in_any_case_and_a_misspelt_one_is_told_the_nearest() -> None:
    assert read_draft({"quantization": "INT8"}).quantization == "int8"
    said = "must be one of 'fp16', 'bf16', 'fp32', 'int8' or 'fp8'; did you mean fp16?"
    assert messages(quantization="fp17") == {"quantization": said}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_frames", "many", "must be a whole number, such as 16"),
        ("num_frames", 16.5, "must be a whole number, without a fraction"),
        ("num_frames", True, "must be a number, not true or false"),
        ("num_frames", [16], "must be a whole number, such as 16"),
        ("steps", 0, "must be at least 1"),
        ("steps", 1_000, "must be at most 200"),
        ("guidance_scale", "high", "must be a number"),
        ("flow_shift", 0, "must be more than 0"),
        ("prompt", 7, "must be text, in double quotes"),
        ("prompt", "x" * 4_001, "may have at most 4000 characters; shorten it"),
        ("enable_optimization", "perhaps", "must be true or false"),
        ("metadata", "cats", 'must be an object, such as {"project": "cats"}'),
        ("model_type", "T3V", "must be one of 'T2V-A14B', 'I2V-A14B' or 'TI2V-5B'"),
        ("output_format", "avi", "must be one of 'mp4', 'webm', 'gif', 'png' or 'webp'"),
        ("seed", -1, "must be at least 0"),
        ("loras.0.weight", {"loras": [{"name": "a", "weight": 5}]}, "must be at most 4"),
        ("loras.0", {"loras": [7]}, "must be a name, or an object with one"),
        ("loras.0.strength", {"loras": [{"name": "a", "strength": 1}]}, "is unknown; the known ones are name, weight"),
        (
            "loras.0.weight_hihg",
            {"loras": [{"name": "a", "weight_hihg": 1}]},
            'is unknown; did you mean "weight_high"?',
        ),
        ("loras.0.name", {"loras": [{"weight": 1}]}, "is missing"),
        ("loras", {"loras": ["a"] * 9}, "may have at most 8; leave some out"),
        ("seed", 2**60, "must be at most 9007199254740991"),
        ("guidance_scale", 31, "must be at most 30"),
        ("model_type", "t2v-a15b", "must be one of 'T2V-A14B', 'I2V-A14B' or 'TI2V-5B'; did you mean T2V-A14B?"),
    ],
)
def test_a_wrong_value_is_told_what_it_must_be(field: str, value: Any, message: str) -> None:
    fields = value if "loras" in field else {field: value}
    assert messages(**fields)[field].startswith(message)


@pytest.mark.parametrize("said", ["sunset", {"name": "sunset"}, ["sunset"], [{"name": "sunset", "weight": 1}]])
def test_a_lora_may_be_named_alone_and_outside_of_a_list(said: Any) -> None:
    assert read_draft({"prompt": "a cat", "loras": said}).loras == (LoraUse(name="sunset"),)


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert set(messages(promt="x", steps=0, width="w", loras=[1])) == {"promt", "steps", "width", "loras.0"}


def test_counts_under_one_are_told_beside_other_errors_and_else_left_to_the_model() -> None:
    assert messages(num_frames=-1, fps=0, steps="x").keys() == {"num_frames", "fps", "steps"}
    assert read_draft({"num_frames": -1}).num_frames == -1


def test_no_more_unknown_fields_are_looked_at_than_an_answer_has_room_for() -> None:
    told = messages(**{f"prompt_{n}": 1 for n in range(25_000)}, steps=0)
    assert (len(told), told["steps"]) == (MAX_UNKNOWN + 1, "must be at least 1")


def test_a_model_is_known_in_any_case_and_numbers_may_be_text() -> None:
    draft = read_draft({"model_type": "t2v-a14b", "num_frames": "16", "width": 1280.0, "output_format": " MP4 "})
    assert (draft.model_type, draft.num_frames, draft.width) == (ModelType.T2V_A14B, 16, 1280)
    assert draft.output_format == "mp4"


@pytest.mark.parametrize("lost", ["???", "?? ??, ???", "????? 4K ????"[:6]])
def test_a_prompt_of_question_marks_has_lost_its_letters(lost: str) -> None:
    assert "charset=utf-8" in messages(prompt=lost)["prompt"]
    assert "charset=utf-8" in messages(prompt="a cat", negative_prompt=lost)["negative_prompt"]


@pytest.mark.parametrize("value", ["System.Collections.Hashtable", "@{a=1; b=2}", "System.Object[]"])
def test_a_name_of_a_powershell_type_is_not_taken_for_content(value: str) -> None:
    assert "-Depth 10" in messages(prompt="a cat", metadata={"deep": [value]})["metadata"]

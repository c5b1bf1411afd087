"""Experts, few steps and names are read from what people call their files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loras_kit import HOSTILE, is_safe

from wan22.models.loras.names import (
    distinct,
    expert_of_timesteps,
    few_step,
    read_expert,
    safe_name,
    sight,
    wishes,
)


@pytest.mark.parametrize(
    ("name", "expert", "rest"),
    [
        ("high_noise_model", "high", "model"),
        ("wan2.2_t2v_lightx2v_4steps_lora_v1.1_low_noise", "low", "wan2.2_t2v_lightx2v_4steps_lora_v1.1"),
        ("Wan2.2-Lightning_T2V-A14B-4steps-lora_HIGH_fp16", "high", "Wan2.2-Lightning_T2V-A14B-4steps-lora_fp16"),
        (
            "Wan_2_2_I2V_A14B_LOW_lightx2v_4step_lora_260412_rank_64_fp16",
            "low",
            "Wan_2_2_I2V_A14B_lightx2v_4step_lora_260412_rank_64_fp16",
        ),
        (
            "wan2.2_i2v_A14b_high_noise_lora_rank64_lightx2v_4step_1022",
            "high",
            "wan2.2_i2v_A14b_lora_rank64_lightx2v_4step_1022",
        ),
        ("HighNoise", "high", ""),
        ("MyStyleLowNoise-000010", "low", "MyStyle_000010"),
        ("highnoise-style", "high", "style"),
        ("style low noise", "low", "style"),
        ("style-High", "high", "style"),
        ("style (low)", "low", "style"),
        ("style_high_v2", "high", "style_v2"),
        ("style_low_epoch_20", "low", "style_epoch_20"),
        ("low_poly_high_noise", "high", "low_poly"),
        ("low_poly_style_high", "high", "low_poly_style"),
    ],
)
def test_an_experts_word_is_found_and_left_out(name: str, expert: str, rest: str) -> None:
    reading = read_expert(name)
    assert reading is not None
    assert (reading.expert, reading.rest, reading.certain) == (expert, rest, True)


@pytest.mark.parametrize(
    "name", ["", "style", "thigh", "slow_motion", "glow", "flowing hair", "yellow", "highway", "lowkey", "hl", "noise"]
)
def test_words_that_only_look_like_it_are_none(name: str) -> None:
    assert read_expert(name) is None


@pytest.mark.parametrize("name", ["low_poly_style", "high contrast", "style_h", "style-L-v2", "style_HN", "lowPoly"])
def test_some_words_are_doubtful(name: str) -> None:
    reading = read_expert(name)
    assert reading is None or not reading.certain


@pytest.mark.parametrize("name", ["style_high_noise_and_low_noise", "style_high-low", "Wan22_HighLow", "HighLow-style"])
def test_a_name_with_both_speaks_of_none(name: str) -> None:
    reading = read_expert(name)
    assert reading is None or not reading.certain


@pytest.mark.parametrize(
    ("place", "expert", "rest"),
    [
        (("HighNoise", "style"), "high", ("style",)),
        (("LowNoise", "low_poly"), "low", ("low_poly",)),
        (("styles", "cat_high", "pytorch_lora_weights"), "high", ("styles", "cat", "pytorch_lora_weights")),
        (("high quality", "cat"), None, ("high quality", "cat")),
        (("LowNoise", "cat_high_noise"), "high", ("LowNoise", "cat")),
        (("cat",), None, ("cat",)),
    ],
)
def test_the_files_name_comes_before_its_folders(
    place: tuple[str, ...], expert: str | None, rest: tuple[str, ...]
) -> None:
    seen = sight(place)
    assert (seen.expert, seen.place) == (expert, rest)


def test_what_is_known_otherwise_overrules_the_name() -> None:
    assert sight(("cat_high",), "low").place == ("cat_high",), "the word means something else then"
    assert sight(("cat_h",), "high").place == ("cat",)
    assert sight(("cat",), "low").expert == "low"


@pytest.mark.parametrize(
    ("timesteps", "expert"),
    [
        ((875, 1000), "high"),
        ((900, 1000), "high"),
        ((0, 875), "low"),
        ((0, 900), "low"),
        ((0, 1000), None),
        (None, None),
    ],
)
def test_timesteps_tell_the_expert(timesteps: tuple[int, int] | None, expert: str | None) -> None:
    assert expert_of_timesteps(timesteps) == expert


@pytest.mark.parametrize(
    ("place", "steps"),
    [
        (("Wan2.2-T2V-A14B-4steps-lora-rank64-Seko-V1.1", "high_noise_model"), 4),
        (("wan2.2_t2v_A14b_high_noise_lora_rank64_lightx2v_4step_1217",), 4),
        (("Wan2_2_5B_FastWanFullAttn_lora_rank_128_bf16",), 3),
        (("Wan2.2-TI2V-5B-Turbo",), 4),
        (("wan-distilled", "style"), 4),
        (("my-8-step-lora",), 8),
        (("style_2000steps",), None),
        (("style_1004steps",), None),
        (("style-step4",), None),
        (("4stepson",), None),
        (("style",), None),
    ],
)
def test_few_step_loras_are_known_by_their_words(place: tuple[str, ...], steps: int | None) -> None:
    assert few_step(place) == steps


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_become_safe(text: str) -> None:
    assert is_safe(safe_name(text))


@given(st.text())
def test_any_text_becomes_a_safe_name_that_stays(text: str) -> None:
    name = safe_name(text)
    assert is_safe(name)
    assert safe_name(name) == name
    assert len(f"{name}.safetensors".encode()) <= 255


WIDE = st.text("\U00020000\U00020001赛é", min_size=80, max_size=100)
"""Letters of two to four bytes, so many that their bytes are too many too."""


@given(st.text() | WIDE, st.text(max_size=3) | WIDE)
def test_every_name_that_is_wished_for_is_one_that_a_file_can_have(stem: str, folder: str) -> None:
    for place in ((stem,), (folder, stem)):
        for name in wishes(place, Path("a")):
            file_name = f"{name}.safetensors"
            assert len(file_name.encode()) <= 255  # raises for half a character
            assert len(file_name.encode("utf-16-le")) <= 2 * 255
            assert is_safe(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Wan2.2-T2V-A14B-4steps-lora-rank64-Seko-V1.1", "Wan2_2-T2V-A14B-4steps-lora-rank64-Seko-V1_1"),
        ("赛博朋克 v2", "赛博朋克_v2"),
        ("e\u0301te\u0301", "été"),
        ("<img src=x onerror=alert(1)>", "img_src_x_onerror_alert_1"),
        ("CON", "lora_CON"),
        ("🙂", "lora"),
    ],
)
def test_a_safe_name_is_still_like_the_files(text: str, name: str) -> None:
    assert safe_name(text) == name


@pytest.mark.parametrize(
    ("place", "wish"),
    [
        (("styles", "cat"), "cat"),
        (("Seko-V1", "model"), "Seko-V1"),
        (("cat", "pytorch_lora_weights"), "cat"),
        (("model",), "model"),
        (("cat", ""), "cat"),
        (("",), "lora"),
    ],
)
def test_names_that_say_nothing_give_way_to_the_folders(place: tuple[str, ...], wish: str) -> None:
    assert wishes(place, Path("a"))[0] == wish


PLACES = st.lists(st.tuples(st.text("aAb_", max_size=3), st.text("aA", max_size=2)), max_size=12)


@given(PLACES, st.integers(0, 12))
def test_names_never_collide_and_later_ones_take_none(places: list[tuple[str, str]], before: int) -> None:
    wished = [wishes(place, Path(*place)) for place in places]
    names = list(distinct(wished))
    assert len({name.casefold() for name in names}) == len(places)
    assert list(distinct(wished[:before])) == names[:before]


def test_of_two_that_wish_for_the_same_name_the_second_gets_its_folder_too() -> None:
    assert list(distinct([wishes((folder, "cat"), Path(folder)) for folder in ("a", "b")])) == ["cat", "b_cat"]


def test_a_name_with_a_suffix_is_not_taken_either() -> None:
    second = wishes(("cat",), Path("b"))
    assert list(distinct([wishes(("cat",), Path("a")), second, wishes((second[2],), Path("c"))]))[1] == second[2]

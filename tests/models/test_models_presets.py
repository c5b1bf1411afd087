"""The presets: what each fills in, which LoRA `fast` takes, what the caller keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from support import samples
from support.loras import lora_for

from wan22.errors import InvalidRequest
from wan22.models.catalogue import SPECS, ModelSpec
from wan22.models.geometry import render_for
from wan22.models.loras.folders import Loras
from wan22.models.presets import render_area, with_preset
from wan22.models.specs import OFFICIAL
from wan22.models.variants import Models, Variant
from wan22.settings import ModelsSettings
from wan22.tasks import Draft, LoraUse, ModelType, Render, Request

T2V, I2V, TI2V = ModelType.T2V_A14B, ModelType.I2V_A14B, ModelType.TI2V_5B


def variant(model_type: ModelType, folder: Path) -> Variant:
    return Models(ModelsSettings(variant="demo"), folder).get(model_type)


def add(folder: Path, *stems: str, model_type: ModelType = T2V) -> None:
    for stem in stems:
        lora_for(model_type, folder / f"{stem}.safetensors")


def drafted(folder: Path, model_type: ModelType = T2V, **fields: Any) -> Draft:
    draft = Draft(model_type=model_type, preset="fast", **fields)
    return with_preset(draft, variant(model_type, folder), Loras((folder,)))[0]


def test_it_finds_the_pair_and_samples_as_it_was_distilled(tmp_path: Path) -> None:
    add(tmp_path, "wan_t2v_4steps_high_noise", "wan_t2v_4steps_low_noise", "style")
    draft = drafted(tmp_path)
    assert (draft.steps, draft.guidance_scale, draft.flow_shift) == (4, 1.0, 5.0)
    assert draft.loras == (LoraUse(name="wan_t2v_4steps"),)


def test_what_the_caller_sends_wins(tmp_path: Path) -> None:
    add(tmp_path, "lightning")
    draft = drafted(tmp_path, steps=6, flow_shift=3.0, loras=["style"])
    assert (draft.steps, draft.guidance_scale, draft.flow_shift) == (6, 1.0, 3.0)
    assert [use.name for use in draft.loras or ()] == ["style", "lightning"]


def test_one_that_the_caller_names_is_the_one(tmp_path: Path) -> None:
    add(tmp_path, "a_4steps", "b_4steps")
    assert drafted(tmp_path, loras=[{"name": "a_4steps", "weight": 0.8}]).loras == (
        LoraUse(name="a_4steps", weight=0.8),
    )
    assert drafted(tmp_path).loras == (LoraUse(name="b_4steps"),)


def test_filling_in_twice_changes_nothing_more(tmp_path: Path) -> None:
    add(tmp_path, "lightning")
    draft = drafted(tmp_path)
    assert with_preset(draft, variant(T2V, tmp_path), Loras((tmp_path,)))[0] == draft


def test_a_whole_pair_goes_before_half_of_one(tmp_path: Path) -> None:
    add(tmp_path, "a_4steps_high_noise", "a_4steps_low_noise", "z_4steps_high_noise")
    assert drafted(tmp_path).loras == (LoraUse(name="a_4steps"),)


def test_half_a_pair_is_none(tmp_path: Path) -> None:
    add(tmp_path, "wan_t2v_4steps_high_noise")
    with pytest.raises(InvalidRequest, match="There is no few-step LoRA"):
        drafted(tmp_path)


def test_names_keep_the_two_large_models_apart(tmp_path: Path) -> None:
    add(tmp_path, "i2v_4steps", "t2v_4steps")
    assert drafted(tmp_path).loras == (LoraUse(name="t2v_4steps"),)
    assert drafted(tmp_path, I2V).loras == (LoraUse(name="i2v_4steps"),)


def test_a_distilled_5b_takes_three_steps(tmp_path: Path) -> None:
    add(tmp_path, "FastWan", model_type=TI2V)
    draft = drafted(tmp_path, TI2V)
    assert (draft.steps, draft.flow_shift) == (3, 3.0)


@pytest.mark.parametrize("model_type", ModelType)
def test_without_one_the_command_that_fetches_it_is_named(tmp_path: Path, model_type: ModelType) -> None:
    add(tmp_path, "style", "ti2v_4steps")
    real = replace(variant(model_type, tmp_path), name=OFFICIAL)
    with pytest.raises(InvalidRequest) as refused:
        with_preset(Draft(model_type=model_type, preset="fast"), real, Loras((tmp_path,)))
    (error,) = refused.value.errors
    assert error.field == "preset"
    assert f"`wan22 models download {model_type.value.lower()} --variant few-step` fetches " in error.message
    assert ".safetensors" in error.message


def test_the_demo_weights_are_not_told_to_fetch_what_does_not_fit_them(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="for the demo weights of I2V-A14B; leave preset out"):
        drafted(tmp_path, I2V)


@pytest.mark.parametrize(("preset", "steps"), [("best", 10), ("balanced", 5), ("draft", 4)])
def test_the_others_take_a_share_of_the_models_steps(preset: str, steps: int, tmp_path: Path) -> None:
    weights = variant(T2V, tmp_path)
    assert weights.defaults.steps == 10
    draft = Draft.model_validate({"model_type": T2V, "preset": preset})
    changed, choice = with_preset(draft, weights, Loras(()))
    assert changed.steps == steps
    assert changed.guidance_scale is None
    assert choice
    assert (choice.what, choice.choice) == ("preset", preset)
    sent = draft.model_copy(update={"steps": 7})
    assert with_preset(sent, weights, Loras(()))[0].steps == 7


def test_without_a_preset_nothing_is_filled_in(tmp_path: Path) -> None:
    draft = Draft(model_type=T2V)
    assert with_preset(draft, variant(T2V, tmp_path), Loras(())) == (draft, None)


@given(
    st.integers(32, 2048).map(lambda half: 2 * half),
    st.integers(32, 2048).map(lambda half: 2 * half),
    st.sampled_from(list(SPECS.values())),
    st.sampled_from([None, 224 * 128]),
)
def test_a_draft_is_rendered_smaller_and_delivered_as_asked(
    width: int, height: int, spec: ModelSpec, native_area: int | None
) -> None:
    asked = samples.request(model_type=spec.model_type, width=width, height=height)
    drafted = asked.model_copy(update={"preset": "draft"})

    def render(request: Request) -> Render:
        area = render_area(request, native_area)
        size = {"width": width, "height": height, "num_frames": 16}
        return render_for(**size, spec=spec, native_area=area, keep_last=False)

    whole, small = render(asked), render(drafted)
    assert (small.output_width, small.output_height) == (width, height)
    assert small.width * small.height <= whole.width * whole.height
    if native_area is None and width * height >= 1280 * 720 and max(width, height) <= 2 * min(width, height):
        assert small.width * small.height < 0.4 * whole.width * whole.height

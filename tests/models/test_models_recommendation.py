"""Which model to take: never one that can't do it, every other one ranked, each with its reasons."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from knowledge_kit import history, run
from models_kit import I2V, T2V, TI2V, picture

from wan22.errors import InvalidRequest
from wan22.models.catalogue import SPECS
from wan22.models.recommendation import MAX_FRAMES, Advice, Candidate, State, Wish, recommend
from wan22.models.rules import Ask, errors_of
from wan22.tasks import Draft, ModelType, Run

GB = 1_000_000_000
sides = st.integers(32, 960).map(lambda half: 2 * half)  # any two of them are within the largest area
wishes = st.builds(
    Wish,
    has_image=st.booleans(),
    has_prompt=st.booleans(),
    width=sides,
    height=sides,
    num_frames=st.integers(1, MAX_FRAMES),
    vram_bytes=st.none() | st.integers(GB, 100 * GB),
    priority=st.sampled_from(["speed", "quality", "memory"]),
)
states = st.sampled_from(["ready", "demo", "partial", "missing"])


def candidates(state: State = "ready", *runs: Run, **states: State) -> list[Candidate]:
    """All three; `states` by the names of `ModelType`."""
    return [
        Candidate(spec, states.get(model_type.name, state), "Because.", history(*runs))
        for model_type, spec in SPECS.items()
    ]


def advice(*, some: list[Candidate] | None = None, **wish: Any) -> Advice:
    return recommend(Wish(**{"has_image": False, "has_prompt": True, **wish}), some or candidates())


def order(found: Advice) -> list[ModelType]:
    return [one.model_type for one in found.recommended]


@given(wishes, states)
def test_none_is_recommended_that_submit_would_refuse(wish: Wish, state: State) -> None:
    assume(wish.has_image or wish.has_prompt)
    found = recommend(wish, candidates(state))
    draft = Draft(prompt="x" if wish.has_prompt else None, num_frames=wish.num_frames, resolution=size_of(wish))
    for one in found.recommended:
        asked = draft.model_copy(update={"model_type": one.model_type})
        assert not errors_of(Ask(asked, SPECS[one.model_type], picture() if wish.has_image else None, None))
        assert wish.vram_bytes is None or one.figures.least_vram_bytes <= wish.vram_bytes
    assert {*order(found), *(one.model_type for one in found.ruled_out)} == set(ModelType)
    assert [one.rank for one in found.recommended] == [*range(1, len(found.recommended) + 1)]
    assert all(one.reasons for one in (*found.recommended, *found.ruled_out))


def size_of(wish: Wish) -> str:
    return f"{wish.width}x{wish.height}"


@given(wishes, states, states, states)
def test_models_whose_weights_are_here_come_first(wish: Wish, a: State, b: State, c: State) -> None:
    assume(wish.has_image or wish.has_prompt)
    found = recommend(wish, candidates(T2V_A14B=a, I2V_A14B=b, TI2V_5B=c))
    ready = [one.state == "ready" for one in found.recommended]
    assert ready == sorted(ready, reverse=True)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({}, [T2V, TI2V]),
        ({"priority": "speed"}, [TI2V, T2V]),
        ({"priority": "memory"}, [TI2V, T2V]),
        ({"has_image": True}, [I2V, TI2V]),
        ({"has_image": True, "has_prompt": False}, [I2V, TI2V]),
        ({"num_frames": 100}, [TI2V]),
        ({"vram_bytes": 8 * GB}, [TI2V]),
        ({"vram_bytes": 5 * GB}, []),
        ({"vram_bytes": 16 * GB, "num_frames": 81}, [T2V, TI2V]),
        ({"vram_bytes": 16 * GB, "num_frames": 81, "width": 1920, "height": 1080}, [TI2V]),
    ],
)
def test_what_is_recommended(wish: dict[str, Any], expected: list[ModelType]) -> None:
    assert order(advice(**wish)) == expected


def test_weights_on_disk_come_before_the_larger_model() -> None:
    assert order(advice(some=candidates("demo", TI2V_5B="ready"))) == [TI2V, T2V]


def test_each_reason_against_is_told_with_its_cure() -> None:
    found = advice(has_image=True, num_frames=100, vram_bytes=5 * GB)
    told = {one.model_type: one.reasons for one in found.ruled_out}
    assert [reason.partition(":")[0] for reason in told[T2V]] == ["image", "num_frames", "vram_gb"]
    assert told[I2V][0] == "num_frames: must be from 1 to 81 for I2V-A14B: send 81."
    assert [reason.partition(":")[0] for reason in told[TI2V]] == ["vram_gb"]


def test_figures_are_counted_and_measured() -> None:
    found = advice(some=candidates("ready", run(total_s=40.0)), width=1280, height=720)
    large, small = (one.figures for one in found.recommended)
    assert (large.width, large.num_frames, large.steps) == (1280, 16, 40)
    assert large.measured_total_s == 40.0
    assert small.relative_work == 1.0 < large.relative_work
    assert advice(width=640, height=480).recommended[0].figures.measured_total_s is None


def test_reasons_speak_of_size_memory_and_disk() -> None:
    (large, _) = advice(width=1024, height=576, num_frames=81, vram_bytes=10 * GB).recommended
    assert "It was trained at 1280x720 and 832x480, on videos of 81 frames; 1024x576 is another size." in large.reasons
    assert "Because." in large.reasons
    (first, _) = advice(vram_bytes=11 * GB, num_frames=81).recommended
    assert any("VRAM is tight" in reason for reason in first.reasons)
    assert any("No GPU" in reason for reason in advice().recommended[0].reasons)


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"has_prompt": False}, "has_prompt"),
        ({"width": 1280}, "height"),
        ({"height": 720}, "width"),
        ({"width": 1281, "height": 720}, "width"),
        ({"width": 10**300, "height": 720}, "width"),
        ({"width": 4096, "height": 4096}, "width"),
    ],
)
def test_a_wish_that_none_could_fulfil_is_refused(wish: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        advice(**wish)
    assert [error.field for error in caught.value.errors] == [field]

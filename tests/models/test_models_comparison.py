"""Side by side: both values of every line, the better one, and the same when it is turned round."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from knowledge_kit import run, side
from models_kit import I2V, T2V, TI2V

from wan22.models.capabilities import capabilities_of
from wan22.models.comparison import Comparison, Side, compare
from wan22.tasks import ModelType

runs = st.lists(
    st.builds(run, width=st.sampled_from([854, 1280]), guidance_scale=st.sampled_from([1.0, 4.0])), max_size=3
)
sides = st.builds(
    lambda model_type, some, variant: side(model_type, *some, variant=variant),
    st.sampled_from(ModelType),
    runs,
    st.sampled_from(["dev", "demo"]),
)


def turned(found: Comparison) -> Comparison:
    """What the comparison of the other with the one must be."""
    lines = {name: line.model_copy(update={"a": line.b, "b": line.a}) for name, line in found.lines.items()}
    sizes = tuple(size.model_copy(update={"a_s": size.b_s, "b_s": size.a_s}) for size in found.measured)
    changes = {"model_a": found.model_b, "model_b": found.model_a, "lines": lines, "measured": sizes}
    return found.model_copy(update=changes)


@given(sides, sides)
def test_turned_round_it_says_the_same(a: Side, b: Side) -> None:
    assert turned(compare(a, b)) == compare(b, a)


@given(sides, sides)
def test_every_line_has_both_values(a: Side, b: Side) -> None:
    found, ours, theirs = compare(a, b), capabilities_of(a.spec), capabilities_of(b.spec)
    assert list(found.lines) == list(ours)
    for name, line in found.lines.items():
        assert (line.a, line.b) == (ours[name].value, theirs[name].value)
        assert line.better is None or line.a != line.b


@given(sides)
def test_a_model_is_no_better_than_itself(one: Side) -> None:
    found = compare(one, one)
    assert found.better_for == ()
    assert {line.better for line in found.lines.values()} == {None}


def purposes(a: ModelType, b: ModelType) -> dict[str, ModelType]:
    return {better.purpose: better.model_type for better in compare(side(a), side(b)).better_for}


def test_what_each_is_better_for() -> None:
    assert purposes(T2V, I2V) == {"a text alone": T2V, "an image to begin with": I2V, "a first and a last image": I2V}
    small = dict.fromkeys(("speed", "little memory", "long videos", "a high frame rate"), TI2V)
    both = {"text or image with one set of weights": TI2V}
    assert purposes(T2V, TI2V) == {"a text alone": T2V, "an image to begin with": TI2V, **both, **small}
    images = {"an image to begin with": I2V, "a first and a last image": I2V}
    assert purposes(I2V, TI2V) == {"a text alone": TI2V, **images, **both, **small}


def test_a_reason_has_its_figures() -> None:
    why = {better.purpose: better.why for better in compare(side(T2V), side(TI2V)).better_for}
    assert why["little memory"] == "6 GB of VRAM, T2V-A14B needs 10 GB."
    assert why["long videos"] == "Up to 121 frames, T2V-A14B 81."
    assert "computes 11 times as much" in why["speed"]


def test_only_sizes_that_both_have_rendered_are_compared() -> None:
    found = compare(side(T2V, run(), run(width=854)), side(TI2V, run(denoise_s=5.0), run(guidance_scale=1.0)))
    (size,) = found.measured
    assert (size.width, size.guided, size.a_s, size.b_s) == (1280, True, 2.0, 0.5)
    assert found.said == "Measured here with the real weights on cuda:0."


def test_real_weights_are_not_compared_with_demo_weights() -> None:
    found = compare(side(T2V, run()), side(TI2V, run(variant="demo"), variant="demo"))
    assert found.measured == ()
    assert "can't be compared" in found.said

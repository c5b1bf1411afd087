"""A step cache is had where it is asked for, and what is said of it rests on what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support import samples

from wan22.errors import InvalidRequest
from wan22.models.step_cache import step_cache_of
from wan22.models.variants import Models, Variant
from wan22.settings import ModelsSettings
from wan22.tasks import ModelType


def demo(tmp_path: Path, **defaults: object) -> Variant:
    """The demo weights of T2V-A14B, with other defaults."""
    variant = Models(ModelsSettings(variant="demo"), tmp_path).get(ModelType.T2V_A14B)
    return replace(variant, defaults=replace(variant.defaults, **defaults))  # type: ignore[arg-type]  # any of them


@pytest.mark.parametrize("asked", [None, False])
def test_unasked_there_is_none(tmp_path: Path, asked: bool | None) -> None:
    assert step_cache_of(samples.request(step_cache=asked), demo(tmp_path)) == (None, ())


def test_what_it_spares_is_told_where_that_was_measured(tmp_path: Path) -> None:
    thresholds, (choice,) = step_cache_of(
        samples.request(step_cache=True), demo(tmp_path, step_cache=(0.125, 0.0), step_cache_spares=0.15)
    )
    assert thresholds == (0.125, 0.0)
    assert choice.choice == "0.125 and 0"
    assert "15% of the passes were spared" in choice.why
    _, (choice,) = step_cache_of(samples.request(step_cache=True), demo(tmp_path, step_cache_spares=None))
    assert "was not measured yet" in choice.why


def test_it_is_refused_with_few_steps(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"step_cache: can't be had with preset fast.*leave one of the two out"):
        step_cache_of(samples.request(step_cache=True, preset="fast"), demo(tmp_path))

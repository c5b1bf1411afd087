"""The page about the RTX 4080 is what the cost model says now."""

from __future__ import annotations

from bench.roofline import PAGE, Case, page, planned

from wan22.tasks import ModelType


def test_the_page_in_the_repository_is_what_the_script_writes() -> None:
    assert PAGE.read_text("utf-8") == page(), "run python scripts/bench/roofline.py"


def test_few_steps_reach_what_was_expected_and_the_official_ones_do_not() -> None:
    for preset, is_reached in (("fast", True), ("best", False)):
        *_, told = planned(Case(ModelType.T2V_A14B, preset, (1280, 720, 16)))
        assert told.fits == "yes"
        assert told.total_s is not None
        assert (told.total_s <= 60) is is_reached

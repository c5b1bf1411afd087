"""What ended runs say: percentiles of what was measured, never mixed, never made up."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from knowledge_kit import history, run

from wan22.models.history import others_of, percentile
from wan22.tasks import Status

seconds = st.floats(0.01, 1e5)


def test_nothing_is_made_up_where_nothing_ran() -> None:
    found = history()
    assert (found.runs, found.completed, found.failed, found.sizes) == (0, 0, 0, ())
    assert found.total_s.p50 is found.total_s.p95 is None
    assert found.success_rate is found.videos_per_hour is found.peak_vram_bytes is None
    assert found.said == "No task of this model has ended yet with the real weights on cuda:0, so nothing is measured."


def test_a_model_without_weights_says_so() -> None:
    assert "no weights" in history(run(), variant=None).said


def test_the_figures_of_some_runs() -> None:
    found = history(run(total_s=30.0), run(total_s=60.0, num_videos=2), run(status=Status.FAILED, total_s=1.0))
    assert (found.runs, found.completed, found.failed) == (3, 2, 1)
    assert found.success_rate == pytest.approx(2 / 3)
    assert (found.total_s.p50, found.total_s.p95) == (30.0, 60.0)
    assert found.videos_per_hour == pytest.approx(3600 * 3 / 90)
    assert found.said == "2 of the last 3 tasks with the real weights on cuda:0 completed."


@given(st.lists(st.tuples(st.sampled_from(["dev", "demo"]), st.sampled_from(["cpu", "cuda:0"])), max_size=12))
def test_weights_and_devices_are_never_mixed(pairs: list[tuple[str, str]]) -> None:
    runs = [run(variant=variant, device=device) for variant, device in pairs]
    every = [history(*runs), *others_of(runs, "dev", "cuda:0")]
    assert sum(one.runs for one in every) == len(runs)
    for one in every:
        assert one.runs == pairs.count((str(one.variant), str(one.device)))
    assert len({(one.variant, one.device) for one in every}) == len(every)


@given(st.lists(seconds, min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_percentile_is_a_value_that_was_seen(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= math.floor(share * len(values))
    assert sum(value < found for value in values) <= share * len(values)


@pytest.mark.parametrize(("share", "value"), [(0.5, 10), (0.95, 19), (1.0, 20), (0.01, 1)])
def test_percentiles_go_by_nearest_rank(share: float, value: int) -> None:
    assert percentile(range(1, 21), share) == value


def test_sizes_stand_each_by_itself_the_most_used_first() -> None:
    runs = [run(width=854, height=480, denoise_s=5.0), run(), run(denoise_s=40.0), run(denoise_s=40.0)]
    found = history(*runs, run(guidance_scale=1.0, denoise_s=10.0))
    shown = [(size.width, size.guided, size.runs, size.seconds_per_step) for size in found.sizes]
    assert shown == [(1280, True, 3, 4.0), (854, True, 1, 0.5), (1280, False, 1, 1.0)]


@pytest.mark.parametrize("gap", [{"denoise_s": None}, {"total_steps": None}, {"total_steps": 0}])
def test_a_gap_in_the_timings_is_no_speed(gap: dict[str, Any]) -> None:
    assert history(run(**gap)).sizes[0].seconds_per_step is None


def test_pictures_are_no_videos_an_hour() -> None:
    assert history(run(mode="image")).videos_per_hour is None
    assert history(run(mode="image"), run(total_s=36.0)).videos_per_hour == pytest.approx(100)


def test_the_peak_is_the_highest_that_was_measured() -> None:
    assert history(run(peak_vram_bytes=None), run(peak_vram_bytes=5), run(peak_vram_bytes=3)).peak_vram_bytes == 5

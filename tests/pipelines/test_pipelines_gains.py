"""What is measured is the same work both ways, and only where it can be done."""

from __future__ import annotations

import pytest

from wan22.pipelines.gains import Bench, measure

HERE = Bench("cpu", "bf16", threads=2)


@pytest.mark.parametrize("name", ["mixed-precision", "thread-allocation", "mmap-loading", "parallel-preprocessing"])
def test_seconds_are_told_of_both_ways(name: str) -> None:
    gain = measure(name, HERE)
    assert gain
    assert gain.work
    assert 0 < gain.without_s < 60
    assert 0 < gain.with_s < 60


@pytest.mark.parametrize(
    ("name", "bench"),
    [
        ("mixed-precision", Bench("cpu", "fp32")),
        ("cuda-allocation", HERE),
        ("numa-placement", HERE),
        ("prompt-cache", HERE),
    ],
)
def test_what_can_not_be_measured_here_is_no_figure(name: str, bench: Bench) -> None:
    assert measure(name, bench) is None

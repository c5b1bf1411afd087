"""What runs needed of the GPU corrects what is counted for later ones, and running out of memory counts, too."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import FAILURE, plan, task

from wan22.models.needs import CONTEXT_BYTES
from wan22.queue.peaks import KEPT, OTHERS_UNLOADED, Peaks
from wan22.tasks import Plan, Status, Task

GB = 10**9


def planned(predicted: float | None = 10.0, **changes: Any) -> Plan:
    """On a GPU, with so many GB predicted."""
    bytes_ = None if predicted is None else int(predicted * GB)
    return plan(**{"device": "cuda:0", "offload": "blocks", "predicted_peak_vram_bytes": bytes_, **changes})


def ran(measured: float | None, *, status: Status = Status.COMPLETED, of: Plan | None = None, **changes: Any) -> Task:
    """A task that needed so many GB, the context included."""
    peak = None if measured is None else int(measured * GB) - CONTEXT_BYTES
    return task(status=status, plan=of or planned(), peak_vram_bytes=peak, **changes)


def correction(*tasks: Task) -> float:
    """After these."""
    peaks = Peaks()
    for one in tasks:
        peaks.learn(one)
    return peaks.correction(planned())


@pytest.mark.parametrize(("measured", "expected"), [(10, 1.0), (11, 1.1), (9, 0.9), (1, 0.8), (99, 3.0)])
def test_a_miss_corrects_the_next_prediction(measured: float, expected: float) -> None:
    assert correction(ran(measured)) == pytest.approx(expected)


def test_the_worst_of_the_newest_runs_counts() -> None:
    assert correction(ran(12), ran(10)) == pytest.approx(1.2)
    assert correction(ran(12), *[ran(10)] * KEPT) == pytest.approx(1.0)


@given(st.floats(0.8, 3), st.floats(8, 30))
def test_what_was_corrected_already_is_not_corrected_twice(before: float, needed: float) -> None:
    """A steady need is foretold exactly from the second run on."""
    first = correction(ran(needed, of=planned(10 * before, vram_correction=before)))
    assert first == pytest.approx(needed / 10, rel=1e-6)


@pytest.mark.parametrize(
    "out",
    [
        {"status": Status.FAILED, "error": FAILURE},
        {"fallbacks": ("Weights were streamed.",)},
        {"fallbacks": (OTHERS_UNLOADED, "Weights were streamed.")},
    ],
)
def test_running_out_of_memory_is_a_miss_too(out: dict[str, Any]) -> None:
    assert correction(ran(None, **out)) == 1.25
    assert correction(ran(9, **out)) == 1.25
    again = ran(None, of=planned(vram_correction=1.25), **out)
    assert correction(again) == pytest.approx(1.25**2)


@pytest.mark.parametrize(
    "untold",
    [
        ran(None),
        ran(12, of=planned(None)),
        ran(12, status=Status.CANCELLED),
        ran(None, status=Status.FAILED, error=FAILURE.model_copy(update={"code": "generation_failed"})),
        ran(12, of=planned(offload="group")),
        ran(12, of=planned(device="cuda:1")),
        ran(12, of=planned(model_files="ti2v-5b/dev")),
    ],
)
def test_nothing_is_learned_from_what_says_nothing_of_it(untold: Task) -> None:
    assert correction(untold) == 1.0


def test_a_run_that_only_others_were_in_the_way_of_says_what_it_needed() -> None:
    assert correction(ran(11, fallbacks=(OTHERS_UNLOADED,))) == pytest.approx(1.1)

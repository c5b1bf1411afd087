"""A plan tells which optimizations it applies, and a request may ask for some by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_orchestrator_optimizations import LAPTOP, REPORTED

from wan22.errors import InvalidRequest
from wan22.hardware.machine import Machine
from wan22.models.variants import Models
from wan22.orchestrator.optimizations.registry import BY_ID
from wan22.orchestrator.planning import Planner
from wan22.orchestrator.rungs import SLICE_TOKENS
from wan22.settings import DeviceSettings, ModelsSettings
from wan22.tasks import Draft, Plan, Request

SMALL = {"model_type": "T2V-A14B", "prompt": "a circle", "width": 64, "height": 64, "num_frames": 5}


def prepared(home: Path, machine: Machine = LAPTOP, **fields: Any) -> tuple[Request, Plan]:
    planner = Planner(Models(ModelsSettings(variant="demo"), home), DeviceSettings(), lambda: machine)
    return planner.prepare(Draft.model_validate({**SMALL, **fields}))


def faults(home: Path, **fields: Any) -> list[str]:
    with pytest.raises(InvalidRequest) as caught:
        prepared(home, **fields)
    return [error.message for error in caught.value.errors if error.field == "optimizations"]


def test_a_plan_tells_what_it_applies(tmp_path: Path) -> None:
    _, plan = prepared(tmp_path)
    assert set(plan.optimizations) == {
        "parallel-preprocessing",
        "thread-allocation",
        "weight-cache",
        "batching",
        "mmap-loading",
        "prompt-cache",
    }
    assert list(plan.optimizations) == [name for name in BY_ID if name in plan.optimizations]


def test_on_a_gpu_there_are_more(tmp_path: Path) -> None:
    _, plan = prepared(tmp_path, REPORTED, guidance_scale=1)
    assert {"tensor-cores", "vram-budget", "mixed-precision", "guidance-skip"} <= set(plan.optimizations)
    assert "cpu-offload" not in plan.optimizations, "the small weights fit"


def test_the_plain_way_has_no_batch_and_no_cache(tmp_path: Path) -> None:
    _, plan = prepared(tmp_path, enable_optimization=False)
    assert plan.at_once == 1
    assert not {"batching", "prompt-cache"} & set(plan.optimizations)


def test_a_step_cache_by_its_name(tmp_path: Path) -> None:
    request, plan = prepared(tmp_path, optimizations="step-cache")
    assert request.step_cache
    assert plan.step_cache
    assert "step-cache" in plan.optimizations
    assert plan.at_once == 1, "batching was left out"


def test_slices_by_their_name_where_the_sequence_is_longer(tmp_path: Path) -> None:
    long = {"width": 224, "height": 128, "num_frames": 81}
    assert prepared(tmp_path, **long)[1].slices is None
    sliced = prepared(tmp_path, **long, optimizations=["attention-slicing"])[1]
    assert sliced.slices == SLICE_TOKENS
    assert "attention-slicing" in sliced.optimizations
    assert faults(tmp_path, optimizations=["attention-slicing"]) == [
        "has attention-slicing, which does nothing for this task; leave it out"
    ]


def test_a_name_that_is_none_lists_all(tmp_path: Path) -> None:
    (said,) = faults(tmp_path, optimizations=["step-cash"])
    assert "step-cache" in said or "batching" in said


def test_one_that_does_nothing_is_refused(tmp_path: Path) -> None:
    assert faults(tmp_path, optimizations=["tensor-cores", "mmap-loading"]) == [
        "has tensor-cores, which does nothing for this task; leave it out"
    ]

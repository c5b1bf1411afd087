"""The values: statuses move only as the table says, drafts refuse what can't be meant, tasks survive a round trip."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.samples import plan, request

from wan22.tasks import MOVES, Draft, EventType, ModelType, Status, Task, may_move, name_to_keep
from wan22.tasks.request import MAX_SEED
from wan22.tasks.sharing import run_for


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Status, Status)))
def test_every_pair_of_statuses_is_decided_by_the_table(before: Status, after: Status) -> None:
    assert may_move(before, after) == (after in MOVES[before])
    assert not (before.is_terminal and may_move(before, after)), "what has ended never changes"


def test_each_end_of_a_task_has_its_event_and_no_other_event_is_one() -> None:
    ends = {type.value for type in EventType if type.is_terminal}
    assert ends == {f"task.{status.value}" for status in Status if status.is_terminal}


def test_a_task_can_always_come_to_an_end() -> None:
    for status in (Status.QUEUED, Status.RUNNING):
        assert any(after.is_terminal for after in MOVES[status])


def test_a_file_is_kept_under_its_model_and_the_end_of_its_id() -> None:
    """Ids of the same second begin alike."""
    task_id = "01980f2e-5b5c-7d3a-9f7e-3a1b2c4d5e6f"
    assert name_to_keep("TI2V-5B", task_id, index=0, count=1) == "ti2v-5b-2c4d5e6f"
    assert name_to_keep("TI2V-5B", task_id, index=1, count=2) == "ti2v-5b-2c4d5e6f-1"


@pytest.mark.parametrize("name", ["T2V-A14B", "t2v-a14b", " T2v-A14b "])
def test_model_types_are_matched_without_regard_to_case(name: str) -> None:
    assert Draft(model_type=name).model_type is ModelType.T2V_A14B  # type: ignore[arg-type]  # as JSON gives it


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": True},
        {"guidance_scale": float("nan")},
        {"guidance_scale": float("inf")},
        {"seed": -1},
        {"seed": MAX_SEED + 1},
        {"steps": 0},
        {"num_videos": 0},
        {"strength": 0},
        {"strength": 1.5},
        {"priority": 101},
        {"fps": 8.5},
        {"promt": "a typo"},
        {"model_type": "T2V"},
        {"quantization": "int3"},
    ],
)
def test_a_draft_refuses_what_cannot_be_meant(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        Draft.model_validate(wrong)
    assert [error["loc"][0] for error in caught.value.errors()] == list(wrong)


def test_numbers_may_come_as_the_strings_of_a_form() -> None:
    assert Draft.model_validate({"width": "1280", "guidance_scale": "4.5"}).width == 1280


@given(seed=st.integers(0, MAX_SEED), count=st.integers(1, 16))
def test_the_seeds_of_a_list_follow_each_other_and_stay_in_range(seed: int, count: int) -> None:
    seeds = request(seed=seed, num_videos=count).seeds
    assert len(set(seeds)) == count
    assert seeds[0] == seed
    assert all(0 <= each <= MAX_SEED for each in seeds)


def test_a_task_survives_a_round_trip_through_json() -> None:
    task = Task(task_id="t", request=request(), plan=plan(), created_at=datetime.now(timezone.utc))
    assert Task.model_validate_json(task.model_dump_json()) == task
    assert task.with_(status=Status.RUNNING).status is Status.RUNNING
    assert task.status is Status.QUEUED, "a move makes a copy"


@pytest.mark.parametrize(
    "changes", [{"attention": "sage"}, {"compiled": True}, {"slices": 2048}, {"vae_tile": 256}, {"offload": "model"}]
)
def test_tasks_that_run_in_other_ways_share_no_run(changes: dict[str, Any]) -> None:
    """What the plan of each tells is how it ran."""
    alike = plan(at_once=4)
    assert run_for(request(), plan(at_once=4)) == run_for(request(), alike)
    assert run_for(request(), plan(at_once=4, **changes)) != run_for(request(), alike)

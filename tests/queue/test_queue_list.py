"""Lists: newest first, page by page, whatever happens to the tasks between two pages."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_kit import House, run_through

from wan22.errors import InvalidRequest
from wan22.queue.page import cursor_after, seq_in
from wan22.tasks import ModelType, Phase, Status


def pages(house: House, limit: int) -> list[list[str]]:
    """The ids on all pages."""
    found, cursor = [], None
    while True:
        page = house.queue.list(limit=limit, cursor=cursor)
        found.append([task.task_id for task in page.tasks])
        if (cursor := page.next_cursor) is None:
            return found


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 7 + [0]), (3, [3, 3, 1]), (7, [7, 0]), (100, [7])])
def test_pages_hold_every_task_once_newest_first(house: House, limit: int, sizes: list[int]) -> None:
    ids = [house.submit().task_id for _ in range(7)]
    found = pages(house, limit)
    assert [len(page) for page in found] == sizes
    assert [*chain(*found)] == ids[::-1]


def test_a_cursor_outlives_the_task_it_points_at(house: House) -> None:
    ids = [house.submit().task_id for _ in range(4)]
    page = house.queue.list(limit=2)
    house.queue.delete(page.tasks[-1].task_id)
    house.submit()
    assert [task.task_id for task in house.queue.list(cursor=page.next_cursor).tasks] == ids[1::-1]


def test_filters_go_together(house: House) -> None:
    claim = house.running(model_type=ModelType.TI2V_5B)
    other = house.submit()
    assert [task.task_id for task in house.queue.list(status=Status.RUNNING).tasks] == [claim.task.task_id]
    assert [task.task_id for task in house.queue.list(model_type=ModelType.T2V_A14B).tasks] == [other.task_id]
    assert house.queue.list(status=Status.RUNNING, model_type=ModelType.T2V_A14B).tasks == ()


def test_running_tasks_are_listed_with_their_live_values(house: House) -> None:
    claim = house.running()
    run_through(claim)
    listed = house.queue.list().tasks[0]
    assert (listed.phase, listed.step) == (Phase.ENCODE, 4)
    assert listed.progress == house.queue.get(claim.task.task_id).progress == 1.0


@pytest.mark.parametrize("limit", [-1, 0, 101, 10**30])
def test_a_limit_is_from_1_to_100(house: House, limit: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        house.queue.list(limit=limit)
    assert [error.field for error in caught.value.errors] == ["limit"]


@given(seq=st.integers(0, 2**63 - 1))
def test_a_cursor_leads_back_to_its_number(seq: int) -> None:
    assert seq_in(cursor_after(seq)) == seq


@given(cursor=st.text() | st.text("ABCabc012_-=+/ ", max_size=16) | st.just("\ud800"))
def test_any_other_string_is_refused(cursor: str) -> None:
    with suppress(InvalidRequest):
        assert cursor_after(seq_in(cursor)) == cursor, "accepted, so it must be one of ours"


def test_a_bad_cursor_is_named(house: House) -> None:
    with pytest.raises(InvalidRequest) as caught:
        house.queue.list(cursor="nonsense")
    assert [error.field for error in caught.value.errors] == ["cursor"]

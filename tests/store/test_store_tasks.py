"""Rows and tasks are the same thing, moves are those of the table, and claims go in order."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_kit import add, claim, find, in_status
from support.samples import FAILURE, NOON, artifact, plan, request, task

from wan22.errors import StoreError
from wan22.store import Store, Tables, Waiting
from wan22.tasks import ImageRef, ModelType, Parts, Status, Task, Timings, may_move
from wan22.tasks.sharing import model_for, run_for

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(prompt=st.text(), metadata=st.dictionaries(st.text(), JSON, max_size=4), seed=st.integers(0, 2**53 - 1))
def test_any_request_comes_back_as_it_was(prompt: str, metadata: dict[str, Any], seed: int) -> None:
    store = Store.open(None)
    given_task = task(request=request(prompt=prompt, metadata=metadata, seed=seed))
    add(store, given_task)
    assert find(store, given_task.task_id) == given_task
    store.close()


def test_every_field_survives_a_move(store: Store) -> None:
    image = ImageRef(id="upl_" + "0" * 32, width=8, height=8)
    before = task(request=request(image=image, model_type=ModelType.I2V_A14B))
    add(store, before)
    ended = before.with_(
        status=Status.CANCELLED,
        progress=0.5,
        step=2,
        total_steps=4,
        outputs=(artifact(0), artifact(1)),
        timings=Timings(queued_s=1.5, denoise_s=2.5, total_s=4.0),
        attempts=2,
        resumed_from_step=1,
        fallbacks=("tiling", "offload"),
        peak_vram_bytes=2**40,
        started_at=NOON,
        finished_at=NOON + timedelta(microseconds=1),
        error=FAILURE,
    )
    assert store.write(lambda tables: tables.tasks.move(before, ended))
    assert find(store, before.task_id) == ended


def test_a_picture_is_referred_to_until_its_last_task_is_removed(store: Store) -> None:
    first, last, other = (ImageRef(id="upl_" + digit * 32, width=8, height=8) for digit in "012")
    tasks = [
        add(store, task(request=request(image=first, last_image=last))),
        add(store, task(request=request(image=first, prompt=other.id))),
    ]
    found = []
    for one in tasks:
        found.append([store.read(lambda tables, i=ref.id: tables.tasks.refers_to(i)) for ref in (first, last, other)])
        store.write(lambda tables, i=one.task_id: tables.tasks.remove(i))
    assert found == [[True, True, False], [True, False, False]]
    assert not store.read(lambda tables: tables.tasks.refers_to(first.id))


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Status, Status)))
def test_every_pair_of_statuses_moves_as_the_table_says(store: Store, before: Status, after: Status) -> None:
    now = in_status(store, before)

    def move(tables: Tables) -> bool:
        return tables.tasks.move(now, now.with_(status=after))

    if may_move(before, after):
        assert store.write(move)
        assert find(store, now.task_id) == now.with_(status=after)
    else:
        with pytest.raises(ValueError, match="does not go from"):
            store.write(move)
        assert find(store, now.task_id) == now


@pytest.mark.parametrize("seen", [{"fence": 0}, {"fence": 2}, {"status": Status.QUEUED}])
def test_a_move_from_what_is_no_longer_so_changes_nothing(store: Store, seen: dict[str, Any]) -> None:
    running = in_status(store, Status.RUNNING)
    stale = running.with_(**seen)
    moved = store.write(lambda tables: tables.tasks.move(stale, stale.with_(status=Status.CANCELLED)))
    assert not moved
    assert find(store, running.task_id) == running


@given(priorities=st.lists(st.integers(-100, 100), min_size=1, max_size=12))
@settings(max_examples=30, deadline=None)
def test_what_waits_is_listed_by_priority_then_arrival(priorities: list[int]) -> None:
    store = Store.open(None)
    tasks = [add(store, task(priority=priority)) for priority in priorities]
    expected = sorted(tasks, key=lambda each: -each.request.priority)  # sorted is stable: arrival decides the rest
    for limit in (-1, 3):
        listed = store.read(lambda tables, limit=limit: tables.tasks.waiting(limit=limit))
        assert [one.task_id for one in listed] == [each.task_id for each in expected][: limit if limit > 0 else None]
    store.close()


def test_only_what_waits_can_be_claimed(store: Store) -> None:
    tasks = [add(store), in_status(store, Status.CANCELLED)]
    ids = [tasks[0].task_id, tasks[0].task_id, tasks[1].task_id, "unknown"]
    claimed = [store.write(lambda t, i=i: t.tasks.claim(i, boot_id=1, at=NOON)) for i in ids]
    assert [each is not None for each in claimed] == [True, False, False, False]


def test_a_claim_takes_the_lease(store: Store) -> None:
    given_task = add(store)
    claimed = claim(store, boot_id=7)
    lease = {"status": Status.RUNNING, "attempts": 1, "fence": 1, "started_at": NOON}
    assert claimed == given_task.with_(**lease)
    assert find(store, given_task.task_id) == claimed


def test_a_heartbeat_is_only_for_the_current_fence(store: Store) -> None:
    running = in_status(store, Status.RUNNING)

    def beat(fence: int) -> bool:
        return store.write(lambda tables: tables.tasks.heartbeat(running.task_id, fence=fence, at=NOON))

    assert beat(1)
    assert not beat(2)


def test_cancel_requests_are_kept_for_running_tasks_only(store: Store) -> None:
    waiting, running = in_status(store, Status.CANCELLED), in_status(store, Status.RUNNING)
    for each in (waiting, running):
        store.write(lambda tables, each=each: tables.tasks.request_cancel(each.task_id))
    asked = [waiting.task_id, running.task_id, "unknown"]
    assert [store.read(lambda t, i=i: t.tasks.is_cancel_requested(i)) for i in asked] == [False, True, None]


def test_what_waits_tells_how_long_it_takes_and_what_it_shares(store: Store) -> None:
    work = Parts(denoise=1.0, decode=10.0, encode=100.0, rest=1.0)
    alike = plan(at_once=4)
    first = add(store, task(plan=alike), pace="a", work=work)
    second = add(store, task(plan=plan(at_once=4, device="cuda:0")), pace="b", work=work)
    third = add(store, pace="a", work=work)
    found = store.read(lambda tables: tables.tasks.waiting())
    assert found == (
        Waiting(first.task_id, 1, 0, model_for(request(), alike), run_for(request(), alike), 4, "a", work),
        Waiting(second.task_id, 2, 0, found[1].model, found[1].shares, 4, "b", work),
        Waiting(third.task_id, 3, 0, model_for(request(), alike), None, 1, "a", work),
    )
    assert found[1].model != found[0].model
    assert found[1].shares not in (None, found[0].shares)


def test_counts_name_every_status(store: Store) -> None:
    for status in (Status.FAILED, Status.FAILED, Status.QUEUED):
        in_status(store, status)
    counted = store.read(lambda tables: tables.tasks.count_by_status())
    assert counted == {**dict.fromkeys(Status, 0), Status.FAILED: 2, Status.QUEUED: 1}
    assert store.read(lambda tables: tables.tasks.count_waiting(limit=1)) == 1


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"status": Status.QUEUED}, [4, 3, 2, 1]),
        ({"model_type": ModelType.TI2V_5B}, [4, 2, 0]),
        ({"status": Status.QUEUED, "model_type": ModelType.TI2V_5B}, [4, 2]),
        ({"status": Status.FAILED}, []),
    ],
)
def test_lists_are_newest_first_through_all_pages(store: Store, filters: dict[str, Any], expected: list[int]) -> None:
    models = itertools.cycle([ModelType.TI2V_5B, ModelType.T2V_A14B])
    ids = [add(store, task(request=request(model_type=next(models)))).task_id for _ in range(5)]
    claim(store)
    seen: list[Task] = []
    before = None
    while True:
        page = store.read(lambda tables, b=before: tables.tasks.list(**filters, before_seq=b, limit=2))
        seen += page.tasks
        if (before := page.last_seq) is None:
            break
    assert [each.task_id for each in seen] == [ids[n] for n in expected]


def test_a_key_finds_its_task_until_it_is_freed(store: Store) -> None:
    given_task = add(store, idempotency_key="k", fingerprint="f")
    found = store.read(lambda tables: tables.tasks.find_by_key("k"))
    assert found
    assert (found.task, found.fingerprint) == (given_task, "f")
    with pytest.raises(StoreError, match="UNIQUE"):
        add(store, idempotency_key="k")
    store.write(lambda tables: tables.tasks.free_key("k"))
    assert store.read(lambda tables: tables.tasks.find_by_key("k")) is None


def test_a_record_that_cant_be_read_is_a_store_error_that_says_what_to_do(store: Store) -> None:
    broken = task().model_copy(update={"progress": 7.0})
    add(store, broken)
    with pytest.raises(StoreError, match="1 values are wrong") as caught:
        find(store, broken.task_id)
    assert "delete" in caught.value.hint

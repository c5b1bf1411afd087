"""The order of claims: nobody is passed by more than may, what is told comes true, and turns are what can share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from queue_kit import House
from support.samples import WORK, plan, request

from wan22.queue.order import Order
from wan22.store import Waiting
from wan22.tasks import Status, Task

arrivals = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from("ABC"), st.sampled_from([None, "x", "y"])), min_size=1, max_size=60
)
claims_after = st.lists(st.integers(0, 3), min_size=60, max_size=60)


def waiting(seq: int, priority: int, model: str, shares: str | None) -> Waiting:
    name = None if shares is None else f"{model}{shares}"
    return Waiting(str(seq), seq, priority, model, name, 4, "p", WORK)


def in_order(some: list[Waiting]) -> list[Waiting]:
    return sorted(some, key=lambda one: (-one.priority, one.seq))


@given(arrivals=arrivals, claims_after=claims_after, max_passed=st.integers(0, 8))
def test_nobody_is_passed_by_more_than_may(
    arrivals: list[tuple[int, str, str | None]], claims_after: list[int], max_passed: int
) -> None:
    left: list[Waiting] = []
    loaded: frozenset[str] = frozenset()
    passed: dict[int, int] = {}
    for seq, (what, claims) in enumerate(zip(arrivals, claims_after, strict=False)):
        left.append(waiting(seq, *what))
        for _ in range(claims):
            turn = Order(max_passed, loaded).next_turn(in_order(left))
            left = [one for one in left if one not in turn]
            loaded = frozenset({one.model for one in turn}) or loaded
            for one in left:
                later = [taken for taken in turn if taken.priority == one.priority and taken.seq > one.seq]
                passed[one.seq] = passed.get(one.seq, 0) + len(later)
    assert max(passed.values(), default=0) <= max_passed


@given(arrivals=arrivals, max_passed=st.integers(0, 20), loaded=st.frozensets(st.sampled_from("ABC")))
def test_turns_are_all_that_waits_each_once_and_share_what_they_must(
    arrivals: list[tuple[int, str, str | None]], max_passed: int, loaded: frozenset[str]
) -> None:
    some = in_order([waiting(seq, *what) for seq, what in enumerate(arrivals)])
    order = Order(max_passed, loaded)
    turns = list(order.turns(some))
    assert in_order([one for turn in turns for one in turn]) == some
    assert [one.priority for turn in turns for one in turn] == [one.priority for one in some]
    assert order.next_turn(some[: order.enough]) == turns[0], "as many as decide are enough"
    for turn in turns:
        assert len(turn) <= 4
        assert len(turn) == 1 or len({one.shares for one in turn} - {None}) == 1
    if max_passed == 0:
        assert [one for turn in turns for one in turn] == some


def alike(house: House, priority: int = 0, **changes: object) -> Task:
    return house.queue.submit(request(priority=priority), plan(at_once=3, **changes))


def test_positions_foretell_the_claims(house: House) -> None:
    tasks = [alike(house), alike(house, device="cuda:0"), alike(house), alike(house, priority=1), alike(house)]
    foretold = sorted(tasks, key=lambda task: house.queue.position(task.task_id) or 0)
    claimed = []
    while claims := house.queue.claim_together():
        claimed += [claim.task.task_id for claim in claims]
        house.queue.loaded = lambda: frozenset({"T2V-A14B/demo/cpu/none/transformer=fp32"})
    assert claimed == [task.task_id for task in foretold]


def test_tasks_of_one_run_have_their_own_fences_and_ends(house: House) -> None:
    for _ in range(4):
        alike(house)
    first, second, third = house.queue.claim_together()
    assert len({claim.task.task_id for claim in (first, second, third)}) == 3
    assert house.queue.stop(second)
    assert not house.queue.complete(second, [])
    assert house.queue.complete(first, [])
    assert house.start() == 1, "only the third was left running when the server died"
    assert not house.queue.complete(third, []), "its fence is the last start's"
    assert house.queue.get(third.task.task_id).status is Status.QUEUED
    (again,) = house.queue.claim_together()
    assert (again.task.task_id, again.fence) == (third.task.task_id, 2), "alone: it may be what killed the server"

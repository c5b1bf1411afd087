"""Events are kept in the order of their ids, read in pages, and pruned from the old end."""

from __future__ import annotations

import pytest
from store_kit import event

from wan22.errors import StoreError
from wan22.store import Store


@pytest.fixture
def filled(store: Store) -> Store:
    """Events 1 to 9, the even ones of task "even", the others of no task."""
    for n in range(1, 10):
        store.write(lambda tables, n=n: tables.events.add(event(n, None if n % 2 else "even")))
    return store


def ids(store: Store, after: int, until: int, *, task_id: str | None = None, limit: int = 100) -> list[int]:
    found = store.read(lambda tables: tables.events.between(after, until, task_id=task_id, limit=limit))
    return [each.id for each in found]


def test_an_event_comes_back_as_it_was(store: Store) -> None:
    for given in (event(2**40), event(2**40 + 1, None)):
        store.write(lambda tables, given=given: tables.events.add(given))
        assert store.read(lambda tables, n=given.id: tables.events.between(n - 1, n, limit=9)) == [given]


def test_a_range_is_open_below_closed_above_and_limited(filled: Store) -> None:
    assert ids(filled, 3, 6) == [4, 5, 6]
    assert ids(filled, 0, 99, limit=2) == [1, 2]
    assert ids(filled, 2, 8, task_id="even") == [4, 6, 8]


def test_an_id_is_given_once(filled: Store) -> None:
    with pytest.raises(StoreError, match="UNIQUE"):
        filled.write(lambda tables: tables.events.add(event(5)))


def test_the_events_of_a_task_go_with_it(filled: Store) -> None:
    filled.write(lambda tables: tables.events.remove_of("even"))
    assert ids(filled, 0, 99) == [1, 3, 5, 7, 9]


@pytest.mark.parametrize(
    ("keep", "left"), [(0, []), (1, [9]), (3, [7, 8, 9]), (9, list(range(1, 10))), (50, list(range(1, 10)))]
)
def test_pruning_keeps_the_newest(filled: Store, keep: int, left: list[int]) -> None:
    assert filled.write(lambda tables: tables.events.prune(keep=keep)) == 9 - len(left)
    assert ids(filled, 0, 99) == left


def test_starts_are_counted_from_one(store: Store) -> None:
    assert [store.write(lambda tables: tables.meta.next_boot()) for _ in range(3)] == [1, 2, 3]

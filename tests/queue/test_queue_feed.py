"""The feed: what is durable reaches every reader once and in order, and no reader can be a burden."""

from __future__ import annotations

import threading

import pytest
from queue_kit import House, Reader, opened

from wan22.queue import feed as feed_module
from wan22.queue.recent import LATEST_KEPT
from wan22.queue.sequence import Sequence
from wan22.store import Store, Tables
from wan22.tasks import Event, EventType

DURABLE, PROGRESS = EventType.MODEL_LOADED, EventType.TASK_PROGRESS


def ids(events: list[Event]) -> list[int]:
    return [event.id for event in events]


def test_a_reader_gets_what_comes_after_it_subscribed(house: House) -> None:
    house.feed.publish(DURABLE, None, {})
    reader = Reader(house.feed)
    later = house.feed.publish(DURABLE, None, {"model_type": "T2V-A14B"})
    assert reader.take() == [later]
    assert reader.take() == []


def test_a_reader_comes_back_to_where_it_was(house: House) -> None:
    seen, *missed = [house.feed.publish(DURABLE, None, {"n": n}) for n in range(4)]
    reader = Reader(house.feed, after=seen.id)
    assert reader.calls == 1, "there is something to take at once"
    assert reader.take() == missed


def test_a_reader_is_called_once_until_it_takes(house: House) -> None:
    reader = Reader(house.feed)
    for expected in (1, 2):
        for _ in range(5):
            house.feed.publish(DURABLE, None, {})
        assert reader.calls == expected
        assert len(reader.take()) == 5


def test_a_reader_of_one_task_hears_of_nothing_else(house: House) -> None:
    reader = Reader(house.feed, task_id="a")
    for task_id in ("a", "b", None, "a"):
        house.feed.publish(DURABLE, task_id, {})
        house.feed.publish(PROGRESS, task_id, {})
    assert reader.calls == 1
    assert [(event.type, event.task_id) for event in reader.take()] == [(DURABLE, "a"), (DURABLE, "a"), (PROGRESS, "a")]


def test_of_progress_only_the_latest_of_each_task_is_given(house: House) -> None:
    reader = Reader(house.feed)
    for n in range(10):
        for task_id in ("a", "b"):
            house.feed.publish(PROGRESS, task_id, {"n": n})
        house.feed.publish(EventType.TASK_PREVIEW, "a", {"n": n})
    assert [(event.task_id, event.data["n"]) for event in reader.take()] == [("a", 9), ("b", 9), ("a", 9)]
    house.feed.publish(PROGRESS, "a", {"n": 10})
    assert [event.data["n"] for event in reader.take()] == [10]


def test_of_downloads_only_the_latest_of_each_model_is_given(house: House) -> None:
    reader = Reader(house.feed)
    for n in range(10):
        for model in ("T2V-A14B", "TI2V-5B"):
            house.feed.publish(EventType.MODEL_DOWNLOAD, None, {"model_type": model, "n": n})
    assert [(event.data["model_type"], event.data["n"]) for event in reader.take()] == [("T2V-A14B", 9), ("TI2V-5B", 9)]


@pytest.mark.parametrize("ring", [1, 3, 1000])
@pytest.mark.parametrize("task_id", [None, "odd"])
def test_a_late_reader_reads_on_from_the_store(ring: int, task_id: str | None) -> None:
    with opened(ring=ring) as house:
        sent = [house.feed.publish(DURABLE, "odd" if n % 2 else "even", {}) for n in range(20)]
        for place in range(len(sent)):
            reader = Reader(house.feed, task_id=task_id, after=sent[place].id)
            assert reader.take_all() == [event for event in sent[place + 1 :] if task_id in (None, event.task_id)]


def test_a_reader_far_behind_is_given_pages_and_called_for_each(house: House) -> None:
    count = 2 * feed_module.PAGE + 10
    house.feed.transact(lambda _, emit: [emit(DURABLE, None, {}) for _ in range(count)])
    house.start()
    reader = Reader(house.feed, after=0)
    for calls, size in ((1, feed_module.PAGE), (2, feed_module.PAGE), (3, 10), (3, 0)):
        assert reader.calls == calls
        assert len(reader.take()) == size


def test_progress_is_not_lost_on_a_reader_that_catches_up() -> None:
    with opened(ring=2) as house:
        for _ in range(10):
            house.feed.publish(DURABLE, None, {})
        latest = house.feed.publish(PROGRESS, "a", {})
        assert Reader(house.feed, after=0).take_all()[-1] == latest


def test_numbers_go_on_after_a_restart(house: House) -> None:
    before = house.feed.publish(DURABLE, None, {})
    house.feed.publish(PROGRESS, "a", {})
    house.start()
    after = house.feed.publish(DURABLE, None, {})
    assert after.id > before.id
    assert ids(Reader(house.feed, after=before.id).take_all()) == [after.id]


@pytest.mark.parametrize("after", [2**62, 10**40])
def test_a_place_in_the_future_counts_as_the_newest(house: House, after: int) -> None:
    reader = Reader(house.feed, after=after)
    later = house.feed.publish(DURABLE, None, {})
    assert reader.take() == [later]


def test_a_place_before_the_beginning_is_the_beginning(house: House) -> None:
    sent = house.feed.publish(DURABLE, None, {})
    assert Reader(house.feed, after=-(10**40)).take_all() == [sent]


def test_events_of_a_transaction_that_fails_never_were(house: House) -> None:
    reader = Reader(house.feed)

    def work(_: Tables, emit: feed_module.Emit) -> None:
        emit(DURABLE, None, {})
        raise KeyError("undone")

    with pytest.raises(KeyError):
        house.feed.transact(work)
    later = house.feed.publish(DURABLE, None, {})
    assert reader.take_all() == [later] == house.stored_events()


def test_an_event_that_cant_be_made_holds_nothing_up(house: House) -> None:
    reader = Reader(house.feed)
    with pytest.raises(ValueError, match="dict"):
        house.feed.publish(DURABLE, None, "no data")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match="JSON"):
        house.feed.publish(DURABLE, None, {"no": object()})
    later = house.feed.publish(DURABLE, None, {})
    assert reader.take_all() == [later]


def test_progress_waits_for_a_change_that_came_before_it(house: House) -> None:
    """Or a reader that saw it and came back would never hear of the change."""
    reader, emitted, may_commit = Reader(house.feed), threading.Event(), threading.Event()

    def work(_: Tables, emit: feed_module.Emit) -> Event:
        event = emit(DURABLE, "a", {})
        emitted.set()
        may_commit.wait(10)
        return event

    change = threading.Thread(target=house.feed.transact, args=(work,))
    change.start()
    emitted.wait(10)
    house.feed.publish(PROGRESS, "a", {})
    assert reader.take() == []
    may_commit.set()
    change.join()
    assert [event.type for event in reader.take()] == [DURABLE, PROGRESS]


def test_a_reader_that_raises_is_dropped_and_the_others_served(house: House) -> None:
    def broken() -> None:
        raise RuntimeError("Event loop is closed")

    subscription = house.feed.subscribe(on_ready=broken)
    reader = Reader(house.feed)
    sent = [house.feed.publish(DURABLE, None, {}) for _ in range(2)]
    assert reader.take() == sent
    assert subscription.take() == []


def test_a_closed_subscription_is_silent(house: House) -> None:
    reader = Reader(house.feed)
    reader.subscription.close()
    house.feed.publish(DURABLE, None, {})
    assert (reader.calls, reader.take()) == (0, [])


def test_a_reader_that_never_takes_costs_nothing() -> None:
    with opened(ring=10) as house:
        idle = [Reader(house.feed) for _ in range(5)]
        for n in range(2_000):
            house.feed.publish(PROGRESS, f"task {n}", {"image": "x" * 1_000})
        for _ in range(50):
            house.feed.publish(DURABLE, None, {})
        assert {reader.calls for reader in idle} == {1}
        assert len(idle[0].take()) <= 50 + LATEST_KEPT


def test_the_newest_events_are_kept_and_no_more(house: House) -> None:
    last = house.feed.transact(lambda _, emit: [emit(DURABLE, None, {}) for _ in range(feed_module.KEPT + 500)][-1])
    house.start()
    assert house.store.read(lambda t: len(t.events.between(0, last.id, limit=10**6))) == feed_module.KEPT


def test_a_wait_that_is_never_settled_holds_back_what_follows_in_order() -> None:
    def event(event_id: int) -> Event:
        return Event(id=event_id, type=DURABLE, at="2026-11-23T12:00:00Z")  # type: ignore[arg-type]  # read by pydantic

    sequence = Sequence(1)
    first, second, third = (sequence.reserve() for _ in range(3))
    assert sequence.settle(third, event(third)) == []
    assert sequence.settle(first, None) == []
    assert sequence.settle(second, event(second)) == [event(second), event(third)]


def test_a_store_counts_its_starts() -> None:
    store = Store.open(None)
    assert [feed_module.Feed(store).boot_id for _ in range(3)] == [1, 2, 3]
    store.close()

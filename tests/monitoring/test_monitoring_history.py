"""Seconds in memory, minutes in the store, and series that have a hole where nothing was measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import mean

import hypothesis.strategies as st
import pytest
from hypothesis import given

from wan22.errors import StoreError
from wan22.monitoring.history import DAYS, MAX_POINTS, SECONDS, History
from wan22.monitoring.reading import Reading
from wan22.monitoring.sampler import Sampler
from wan22.monitoring.sensors import Sensors
from wan22.store import Store
from wan22.tasks import Status
from wan22.testing import Card, FakeNvml


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store.open(None)
    yield opened
    opened.close()


def at(seconds_ago: float, **figures: float | int) -> Reading:
    return Reading.model_validate({"at": datetime.now(timezone.utc) - timedelta(seconds=seconds_ago), **figures})


def minutes(store: Store) -> dict[int, dict[str, tuple[float, float]]]:
    return {minute: dict(figures) for minute, figures in store.read(lambda tables: tables.metrics.since(0))}


def test_the_last_minutes_are_there_by_the_second(store: Store) -> None:
    history = History(store)
    for ago in (25, 15, 14, 5):
        history.add(at(ago, cpu_utilization=ago / 100))
    found = history.series(30, 10)
    assert found.step_s == 10
    assert found.values["cpu_utilization"] == (0.25, pytest.approx(0.145), 0.05)
    assert "swap_used_bytes" not in found.values, "it was never measured"


def test_where_nothing_was_measured_there_is_a_hole(store: Store) -> None:
    history = History(store)
    history.add(at(25, queued=0))
    history.add(at(5, queued=2))
    assert history.series(30, 10).values["queued"] == (0.0, None, 2.0)


def test_a_minute_is_kept_with_its_mean_and_its_largest(store: Store) -> None:
    history = History(store)
    begin = datetime(2026, 11, 20, 10, 0, tzinfo=timezone.utc)
    for second in range(0, 60, 20):
        history.add(Reading(at=begin + timedelta(seconds=second), queued=second))
    assert minutes(store) == {}, "the minute is not over"
    history.add(Reading(at=begin + timedelta(seconds=61), queued=7))
    assert list(minutes(store).values()) == [{"queued": (20.0, 40.0)}]
    history.flush()
    assert len(minutes(store)) == 2


def test_what_is_older_than_some_days_goes(store: Store) -> None:
    history = History(store)
    for days in (DAYS + 1, DAYS - 1, 0):
        history.add(at(86_400 * days, queued=days))
        history.flush()
    assert [figures["queued"][0] for figures in minutes(store).values()] == [DAYS - 1, 0]


def test_of_longer_ago_the_minutes_are_told(store: Store) -> None:
    history = History(store)
    history.add(at(3_000, queued=4))
    history.flush()
    found = history.series(3_600, 1)
    assert found.step_s == 60
    assert [value for value in found.values["queued"] if value is not None] == [4.0]


@given(st.floats(1, 604_800), st.floats(1e-3, 86_400))
def test_there_are_never_more_points_than_can_be_drawn(window_s: float, step_s: float) -> None:
    store = Store.open(None)
    try:
        found = History(store).series(window_s, step_s)
    finally:
        store.close()
    assert 1 <= len(found.times) <= MAX_POINTS
    assert found.step_s >= step_s
    assert list(found.times) == sorted(found.times)


def test_memory_is_bounded(store: Store) -> None:
    history = History(store)
    now = datetime.now(timezone.utc)
    for second in range(2 * SECONDS):
        history.add(Reading(at=now + timedelta(milliseconds=second)))
    assert len(history.recent()) == SECONDS


def test_a_store_that_fails_loses_a_minute_and_no_more() -> None:
    store = Store.open(None)
    history = History(store)
    history.add(at(0, queued=1))
    store.close()
    history.flush()
    with pytest.raises(StoreError):
        history.series(86_400, 60)
    assert history.series(60, 1).values["queued"]


def test_the_sampler_goes_on_until_it_is_stopped(store: Store, tmp_path: Path) -> None:
    history = History(store)
    sensors = Sensors(tmp_path, nvml=FakeNvml(Card()))
    sampler = Sampler(sensors, history, lambda: {Status.QUEUED: 2}, every_s=0.01)
    assert sampler.age_s is None
    sampler.start()
    while len(history.recent()) < 8:
        time.sleep(0.01)
    sampler.stop()
    taken = history.recent()
    assert {(reading.queued, reading.running) for reading in taken} == {(2, 0)}
    assert mean(gpu.temperature_c or 0 for reading in taken for gpu in reading.gpus) == 71
    assert minutes(store), "what there was of the minute is kept"
    sampler.stop()


def test_a_reading_that_fails_is_not_the_last(store: Store, tmp_path: Path) -> None:
    history, calls = History(store), []

    class Shaky(Sensors):
        def read(self, *, queued: int | None = None, running: int | None = None) -> Reading:
            calls.append(1)
            if len(calls) == 1:
                raise RuntimeError("the first one fails")
            return super().read(queued=queued, running=running)

    def no_counts() -> dict[Status, int]:
        raise StoreError("The task database failed.")

    sampler = Sampler(Shaky(tmp_path, nvml=FakeNvml()), history, no_counts, every_s=0.01)
    sampler.start()
    while history.latest is None:
        time.sleep(0.01)
    sampler.stop()
    assert history.latest.queued is None

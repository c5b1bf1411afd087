"""Alerts outlive the server, are written with the events that tell of them, and are judged from what goes on here."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from alerts_kit import RULES, House, facts, open_store, reading
from support import samples

from wan22.errors import NotFound, StoreError
from wan22.models.demo_weights import SHIPPED
from wan22.models.variants import Models
from wan22.models.verification import WrongFile, keep_check
from wan22.monitoring.facts import Facts
from wan22.monitoring.gatherer import FEWEST_STEPS, LOOK_AT_WEIGHTS_S, READINGS, Gatherer
from wan22.monitoring.keeper import SHOWN, Keeper
from wan22.monitoring.monitor import Monitor
from wan22.monitoring.rules import SILENT_S
from wan22.queue.feed import Feed
from wan22.queue.queue import Queue
from wan22.settings import ModelsSettings, QueueSettings
from wan22.store import Store
from wan22.tasks import ModelType, Phase, Status
from wan22.testing import Card, FakeNvml

T2V, TI2V = ModelType.T2V_A14B, ModelType.TI2V_5B


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def low(tmp_path: Path) -> Facts:
    return facts(reading(tmp_path, disk_free_bytes=1))


@pytest.fixture
def well(tmp_path: Path) -> Facts:
    return facts(reading(tmp_path))


def test_an_open_alert_outlives_the_server_and_is_cleared_later(tmp_path: Path, low: Facts, well: Facts) -> None:
    with ExitStack() as first:
        house = House.over(open_store(first, tmp_path / "wan22.db"))
        house.look(low)
        (alert,) = house.keeper.list()
        house.keeper.acknowledge(str(alert.id))
    with ExitStack() as second:
        house = House.over(open_store(second, tmp_path / "wan22.db"))
        house.hold(low)
        assert house.told() == [], "it is known"
        (kept,) = house.keeper.list()
        assert kept == alert.model_copy(update={"acknowledged_at": kept.acknowledged_at})
        assert kept.acknowledged_at
        house.look(well)
        assert house.told() == [("alert.cleared", "disk_low", "disk")]


def test_what_was_over_while_the_server_was_not_there_is_cleared(tmp_path: Path, low: Facts, well: Facts) -> None:
    for found, told in ((low, "alert.raised"), (well, "alert.cleared")):
        with ExitStack() as closing:
            house = House.over(open_store(closing, tmp_path / "wan22.db"))
            house.look(found)
            assert house.told() == [(told, "disk_low", "disk")]


def test_its_events_are_kept_for_who_comes_later(closing: ExitStack, low: Facts, well: Facts) -> None:
    house = House.over(open_store(closing))
    house.look(low)
    house.look(well)
    later = house.feed.subscribe(after=0, on_ready=lambda: None)
    assert [event.type.value for event in later.take()] == ["alert.raised", "alert.cleared"]


def test_what_could_not_be_written_is_at_the_next_look(closing: ExitStack, low: Facts) -> None:
    house = House.over(open_store(closing))
    hot = reading_of(low, temperature_c=99.0)
    house.look(hot)
    house.events()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.feed, "transact", _refuse)
        with pytest.raises(StoreError):
            house.look(hot, after_s=20)
    assert house.told() == []
    house.look(hot)
    assert house.told() == [("alert.raised", "gpu_hot", "gpu0")]


def reading_of(found: Facts, **changes: float) -> Facts:
    """The same, with another figure of the card."""
    latest = found.readings[-1]
    gpu = latest.gpus[0].model_copy(update=changes)
    return replace(found, readings=(*found.readings, latest.model_copy(update={"gpus": (gpu,)})))


def _refuse(*_: object, **__: object) -> None:
    raise StoreError("The task database failed.")


def test_seen_is_seen_once_and_for_all(closing: ExitStack, low: Facts) -> None:
    house = House.over(open_store(closing))
    house.look(low)
    (alert,) = house.keeper.list()
    seen = house.keeper.acknowledge(str(alert.id))
    assert seen.acknowledged_at
    assert house.keeper.acknowledge(str(alert.id)) == seen
    assert house.keeper.list() == (seen,), "it stays open"


@pytest.mark.parametrize("name", ["", "0", "2", "-1", "x", "1.0", "٣", "9" * 18, "9" * 400, "1 ", "\x00"])
def test_any_other_name_is_none(closing: ExitStack, name: str, low: Facts) -> None:
    house = House.over(open_store(closing))
    house.look(low)
    with pytest.raises(NotFound) as caught:
        house.keeper.acknowledge(name)
    assert "/api/v1/dashboard/alerts" in caught.value.hint


def test_open_ones_are_listed_with_the_last_of_the_others(closing: ExitStack, low: Facts, well: Facts) -> None:
    house = House.over(open_store(closing))
    for _ in range(SHOWN + 2):
        house.look(low)
        house.look(well)
    house.look(low)
    (alert,) = house.keeper.list()
    listed = house.keeper.list(include_cleared=True)
    assert len(listed) == SHOWN + 1
    assert listed[0] == alert
    assert [one.id for one in listed] == sorted((one.id for one in listed), reverse=True)


def test_old_ones_go_and_no_number_comes_again(closing: ExitStack, low: Facts, well: Facts) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wan22.monitoring.keeper.KEPT", 3)
        house = House.over(open_store(closing))
        for _ in range(10):
            house.look(low)
            house.look(well)
    assert [alert.id for alert in house.keeper.list(include_cleared=True)] == [10, 9, 8, 7]


class Here:
    """The gatherer of a real queue and a fake card; `clock_s` is its clock."""

    def __init__(self, store: Store, home: Path) -> None:
        self.queue = Queue(store, Feed(store), QueueSettings())
        self.monitor = Monitor.of(store, self.queue, home, nvml=FakeNvml(Card()), every_s=0.01)
        self.models = Models(ModelsSettings(), home / "models")
        self.clock_s = 100.0
        self.gatherer = Gatherer(self.monitor, self.queue, self.models, clock=lambda: self.clock_s)

    def measure(self) -> None:
        """Let the sampler take some readings, then stop it."""
        self.monitor.sampler.start()
        while len(self.monitor.history.recent()) < READINGS + 2:
            time.sleep(0.01)
        self.monitor.sampler.stop()


@pytest.fixture
def here(closing: ExitStack, tmp_path: Path) -> Here:
    return Here(open_store(closing), tmp_path)


def test_the_last_minute_is_judged(here: Here) -> None:
    here.measure()
    found = here.gatherer.gather()
    assert found.readings == here.monitor.history.recent()[-READINGS:]
    assert found.latest
    assert found.latest.gpus[0].temperature_c == 71
    assert found.system


def test_without_a_first_reading_the_sampler_is_dead_in_time(here: Here) -> None:
    assert here.gatherer.gather().sampler_age_s == 0
    here.clock_s += SILENT_S
    assert here.gatherer.gather().sampler_age_s == SILENT_S


def test_readings_of_a_dead_sampler_say_nothing_of_now(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    here.measure()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + SILENT_S + 1)
    found = here.gatherer.gather()
    assert found.readings == ()
    assert found.sampler_age_s
    assert found.sampler_age_s > SILENT_S


def test_tasks_that_ended_and_the_one_that_runs_are_told(here: Here) -> None:
    assert here.gatherer.gather().runs[T2V] == ()
    for _ in range(2):
        here.queue.submit(samples.request(steps=10), samples.plan())
    first = here.queue.claim()
    assert first
    here.queue.fail(first, samples.FAILURE)
    second = here.queue.claim()
    assert second
    second.reporter.phase(Phase.DENOISE)
    speeds = []
    for step in (1, FEWEST_STEPS):
        second.reporter.progress(step / 10, step=step, total_steps=10)
        going, ended = here.gatherer.gather().runs[T2V]
        assert (going.status, ended.status) == (Status.RUNNING, Status.FAILED)
        speeds.append(going.seconds_per_step)
    assert speeds[0] is None, "of one step, too little is known"
    assert speeds[1] is not None
    here.queue.complete(second, [], peak_vram_bytes=None)
    done, failed = here.gatherer.gather().runs[T2V]
    assert (done.status, failed.status) == (Status.COMPLETED, Status.FAILED)
    own = {"status", "total_steps", "denoise_s", "total_s", "finished_at"}
    assert going.model_dump(exclude=own) == done.model_dump(exclude=own), "it is compared with such"


def test_weights_are_looked_at_each_minute(here: Here, tmp_path: Path) -> None:
    assert here.gatherer.gather().models[TI2V].state == "missing"
    folder = tmp_path / "models" / "ti2v-5b" / "dev"
    shutil.copytree(SHIPPED / "ti2v-5b", folder)
    keep_check(folder, [WrongFile("model_index.json", "wrong content")])
    here.clock_s += LOOK_AT_WEIGHTS_S - 1
    assert here.gatherer.gather().models[TI2V].state == "missing"
    here.clock_s += 1
    found = here.gatherer.gather()
    assert found.models[TI2V].state == "corrupt"
    (wrong,) = [one for one in RULES["weights_corrupt"].find(found) if one.figure]
    assert wrong.subject == "TI2V-5B"
    assert "wan22 models verify" in wrong.detail.split(". ")[-1]


def test_the_thread_looks_until_it_is_stopped(closing: ExitStack, low: Facts, tmp_path: Path) -> None:
    looks: list[int] = []

    def gather() -> Facts:
        looks.append(1)
        if len(looks) in (1, 2):
            raise (StoreError if len(looks) == 1 else RuntimeError)("the first two fail")
        return low

    store = open_store(closing)
    keeper = Keeper(store, Feed(store), House.over(store).keeper.rules, gather, every_s=0.01)
    keeper.start()
    while not keeper.list():
        time.sleep(0.01)
    keeper.stop()
    keeper.stop()
    count = len(looks)
    time.sleep(0.05)
    assert len(looks) == count >= 3

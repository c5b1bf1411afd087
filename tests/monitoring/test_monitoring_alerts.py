"""Each rule is raised and cleared by what the machine and the tasks do, once each, in words that end in the cure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alerts_kit import NOON, RULES, T2V, House, facts, failed, reading, report, run

from wan22.monitoring.facts import Facts
from wan22.monitoring.findings import Finding
from wan22.monitoring.sensors import Sensors
from wan22.store import Store
from wan22.tasks import ModelType, Status
from wan22.testing import Card, FakeNvml

CARD = Card()
HEAT, HARDWARE, POWER = 0x20, 0x8, 0x4


@pytest.fixture
def house() -> Iterator[House]:
    store = Store.open(None)
    yield House.over(store)
    store.close()


def broken(name: str, folder: Path) -> Facts:
    """What breaks that rule and no other."""
    slow = (run(4.0), *[run(1.0)] * 5)
    cards = {
        "vram_full": replace(CARD, free=CARD.total // 100),
        "gpu_hot": replace(CARD, temperature=90),
        "gpu_throttled": replace(CARD, reasons=HEAT | POWER),
    }
    figures = {
        "ram_full": {"ram_used_bytes": 96},
        "swap_used": {"swap_used_bytes": 3 * 10**9},
        "disk_low": {"disk_free_bytes": 10**9},
        "queue_stuck": {"queued": 2},
    }
    known = {
        "sampler_dead": {"readings": (), "sampler_age_s": 20.0},
        "tasks_fail": {"runs": {T2V: (failed(), failed(), run(), failed())}},
        "steps_slow": {"runs": {T2V: slow}},
        "weights_corrupt": {"models": {T2V: report("corrupt"), ModelType.TI2V_5B: report("ready")}},
    }
    return facts(reading(folder, cards.get(name), **figures.get(name, {})), **known.get(name, {}))


def mended(folder: Path) -> Facts:
    runs = (run(1.1), *[run(1.0)] * 9)
    return facts(reading(folder), runs={T2V: runs}, models={T2V: report("ready")})


SUBJECTS = dict.fromkeys(("vram_full", "gpu_hot", "gpu_throttled"), "gpu0") | dict.fromkeys(
    ("steps_slow", "weights_corrupt"), "T2V-A14B"
)


@pytest.mark.parametrize("name", RULES)
def test_each_rule_is_raised_once_and_cleared_once(house: House, name: str, tmp_path: Path) -> None:
    bad, good = broken(name, tmp_path), mended(tmp_path)
    house.hold(good)
    assert house.told() == []
    for _ in range(3):
        house.hold(bad)
    (raised,) = house.events()
    assert (raised.type.value, raised.data["rule"], raised.task_id) == ("alert.raised", name, None)
    assert raised.data["subject"] == SUBJECTS.get(name, raised.data["subject"])
    assert raised.data["cleared_at"] is None
    for _ in range(3):
        house.hold(good)
    (cleared,) = house.events()
    assert cleared.type.value == "alert.cleared"
    assert cleared.data == {**raised.data, "cleared_at": cleared.data["cleared_at"]}
    assert cleared.data["cleared_at"]
    assert house.keeper.list() == ()
    assert [alert.rule for alert in house.keeper.list(include_cleared=True)] == [name]


@pytest.mark.parametrize("name", RULES)
def test_a_detail_is_a_sentence_or_two_that_end_in_the_cure(name: str, tmp_path: Path) -> None:
    details = [one.detail for one in RULES[name].find(broken(name, tmp_path))]
    assert details
    for detail in details:
        assert detail.endswith(".")
        assert 1 <= detail.count(". ") <= 2
        assert "None" not in detail


@pytest.mark.parametrize("name", RULES)
def test_what_is_not_known_breaks_no_rule(name: str) -> None:
    assert list(RULES[name].find(facts(sampler_age_s=None))) == []


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("nvmlDeviceGetMemoryInfo", "vram_full"),
        ("nvmlDeviceGetTemperature", "gpu_hot"),
        ("nvmlDeviceGetCurrentClocksEventReasons", "gpu_throttled"),
    ],
)
def test_what_a_card_does_not_tell_breaks_no_rule(call: str, name: str, tmp_path: Path) -> None:
    silent = Sensors(tmp_path, nvml=FakeNvml(CARD, fails=call)).read()
    assert list(RULES[name].find(facts(silent))) == []
    assert list(RULES[name].find(facts(reading(tmp_path))))


def test_a_rule_is_of_each_card_by_itself(house: House, tmp_path: Path) -> None:
    one = reading(tmp_path, replace(CARD, temperature=95))
    other = reading(tmp_path).gpus[0].model_copy(update={"index": 1})
    house.hold(facts(one.model_copy(update={"gpus": (*one.gpus, other)})))
    assert house.told() == [("alert.raised", "gpu_hot", "gpu0")]


@pytest.mark.parametrize(("bits", "share"), [(POWER, 0.0), (0x80, 0.0), (HEAT, 0.5), (HARDWARE, 0.5)])
def test_its_power_limit_is_no_throttling(bits: int, share: float, tmp_path: Path) -> None:
    """Every other reading of the minute."""
    both = reading(tmp_path, replace(CARD, reasons=bits)), reading(tmp_path, replace(CARD, reasons=0))
    (found,) = RULES["gpu_throttled"].find(facts(*both))
    assert found.figure == share


def test_what_lasts_a_moment_is_no_alert(house: House, tmp_path: Path) -> None:
    full = broken("vram_full", tmp_path)
    for _ in range(20):
        house.look(full, after_s=20)
        house.look(mended(tmp_path), after_s=5)
    assert house.told() == []


def test_a_queue_is_stuck_after_a_minute(house: House, tmp_path: Path) -> None:
    waits = broken("queue_stuck", tmp_path)
    house.look(waits)
    house.look(waits, after_s=59)
    assert house.told() == []
    house.look(waits, after_s=1)
    assert house.told() == [("alert.raised", "queue_stuck", "queue")]
    house.hold(facts(reading(tmp_path, queued=2, running=1)))
    assert house.told() == [("alert.cleared", "queue_stuck", "queue")]


def slow_step(found: Facts) -> Finding:
    (one,) = RULES["steps_slow"].find(found)
    return one


@pytest.mark.parametrize(
    ("system", "device", "spills"),
    [
        ("Windows 11", "cuda:0", True),
        ("Linux 6.6 (WSL)", "cuda:0", True),
        ("Linux 6.6", "cuda:0", False),
        ("Windows 11", "cpu", False),
    ],
)
def test_under_windows_a_slow_step_may_be_a_spill_into_ram(system: str, device: str, spills: bool) -> None:
    runs = (run(4.0, device=device), *[run(1.0, device=device)] * 3)
    found = slow_step(facts(runs={T2V: runs}, system=system))
    assert found.figure == 4.0
    assert "4.0 times the usual 1 s" in found.detail
    assert ("CUDA - Sysmem Fallback Policy: Prefer No Sysmem Fallback" in found.detail) == spills


@pytest.mark.parametrize(
    "changes",
    [
        *({"width": 640}, {"num_frames": 5}, {"variant": "int8"}, {"device": "cpu"}, {"guidance_scale": 1.0}),
        *({"precision": "fp32"}, {"offload": "group"}, {"step_cache": True}),
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_steps_are_compared_with_those_of_the_same_size(changes: dict[str, object]) -> None:
    others = [run(1.0, **changes)] * 10
    assert list(RULES["steps_slow"].find(facts(runs={T2V: (run(9.0), *others)}))) == []


def test_a_run_that_goes_on_is_the_newest() -> None:
    goes_on = run(3.5, status=Status.RUNNING, finished_at=None)
    assert slow_step(facts(runs={T2V: (goes_on, *[run(1.0)] * 3)})).figure == 3.5


def test_what_was_yesterday_says_nothing_of_today() -> None:
    old = NOON - timedelta(days=2)
    runs = (failed(finished_at=old),) * 5
    slow = (run(9.0, finished_at=old), *[run(1.0, finished_at=old)] * 5)
    assert list(RULES["tasks_fail"].find(facts(runs={T2V: runs}))) == []
    assert list(RULES["steps_slow"].find(facts(runs={T2V: slow}))) == []


def test_failures_are_those_of_the_last_tasks_of_all_models() -> None:
    old, new = NOON - timedelta(hours=3), NOON - timedelta(hours=2)
    runs = {T2V: (failed(finished_at=new),) * 6, ModelType.TI2V_5B: (run(finished_at=old),) * 20}
    (found,) = RULES["tasks_fail"].find(facts(runs=runs))
    assert found.figure == 0.6
    assert found.detail == "6 of the last 10 tasks failed, the newest for this: Out of memory. Ask for less."

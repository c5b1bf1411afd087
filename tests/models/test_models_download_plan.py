"""What is missing is said before anything is fetched, and how far it is at any time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from download_kit import BIG, MODEL, SMALL, SkippingClock, download_of, fetch, hub_of, in_thread, is_whole, options
from support.loopback_hub import Fault, LoopbackHub

from wan22.errors import DiskFull, DownloadFailed, WrongState
from wan22.models.download import DownloadPlan, FileProgress, Hub, choose, make_plan
from wan22.models.download.disk import SPARE_BYTES, Disk, free_bytes
from wan22.models.download.pace import Clock, Limiter, Stop
from wan22.models.download.progress import Meter

SIZE = sum(map(len, MODEL.values()))
HALF = 500_000


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub(MODEL) as server:
        yield server


def plan_of(hub: LoopbackHub, target: Path, free: int = 10**12) -> DownloadPlan:
    listing = Hub(hub_of(hub)).find_listing("main", target)
    return make_plan(listing, choose(listing), target, disk=Disk(free_bytes=lambda path: free))


def test_a_plan_names_files_and_bytes_and_touches_nothing(hub: LoopbackHub, tmp_path: Path) -> None:
    plan = plan_of(hub, tmp_path / "model")
    assert {planned.file.path: planned.missing_bytes for planned in plan.files} == {p: len(d) for p, d in MODEL.items()}
    assert (plan.missing_bytes, plan.free_bytes, plan.fits) == (SIZE, 10**12, True)
    assert not (tmp_path / "model").exists()


def test_a_plan_counts_what_is_there(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.fault(BIG, Fault(cut_after=HALF, times=1))
    hub.fault(BIG, Fault(status=404))
    with pytest.raises(DownloadFailed):
        fetch(hub, tmp_path, [hub_of(hub)])
    assert plan_of(hub, tmp_path).missing_bytes == len(MODEL[BIG]) - HALF
    hub.cure()
    fetch(hub, tmp_path, [hub_of(hub)])
    assert plan_of(hub, tmp_path, free=0).fits


def test_what_does_not_fit_is_refused_before_the_first_byte_with_both_figures(hub: LoopbackHub, tmp_path: Path) -> None:
    small = Disk(free_bytes=lambda path: SIZE + SPARE_BYTES - 1)
    download = download_of(hub, tmp_path, [hub_of(hub)], options(disk=small))
    with pytest.raises(DiskFull, match=f"needs {SIZE:,} bytes more.*{SIZE + SPARE_BYTES - 1:,} bytes are free"):
        download.run()
    assert hub.sent() == 0
    fetch(hub, tmp_path, [hub_of(hub)], options(disk=Disk(free_bytes=lambda path: SIZE + SPARE_BYTES)))
    assert is_whole(tmp_path)


def test_a_drive_that_is_not_there_is_told_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: False)  # as D: is under Windows when its disk is unplugged
    with pytest.raises(WrongState, match="is not there") as refused:
        free_bytes(tmp_path / "models")
    assert "Connect the drive" in refused.value.hint


def test_progress_is_a_frozen_value_that_can_be_read_in_the_middle(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.fault(BIG, Fault(stall_after=HALF))
    download = download_of(hub, tmp_path, [hub_of(hub)], options(stall_s=600, clock=Clock()))
    assert download.progress().state == "waiting"
    thread, _ = in_thread(download.run)
    while (progress := download.progress()).done_bytes < HALF:
        time.sleep(0.005)
    download.cancel()
    thread.join(30)
    big = next(file for file in progress.files if file.path == BIG)
    assert big == FileProgress(BIG, len(MODEL[BIG]), HALF, hub_of(hub).name, 0, "fetching")
    assert (progress.state, progress.size_bytes, progress.fetched_bytes) == ("running", SIZE, HALF)
    with pytest.raises(FrozenInstanceError):
        progress.state = "done"  # type: ignore[misc] - that it can't be is the point


def test_retries_are_counted_where_they_happen(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.fault(SMALL, Fault(status=503, times=2))
    progress = fetch(hub, tmp_path, [hub_of(hub)]).progress()
    assert {file.path: file.retries for file in progress.files} == {BIG: 0, SMALL: 2}
    assert progress.retries == 2


def test_the_speed_is_that_of_the_last_seconds() -> None:
    time_ = SkippingClock()
    meter = Meter([FileProgress("a", 10_000)], time_.clock)
    for second in range(1, 21):
        time_.at = float(second)
        meter.got("a", 100 if second <= 10 else 300, second)
    assert meter.snapshot().bytes_per_s == pytest.approx(300)
    assert meter.snapshot().eta_s == pytest.approx((10_000 - 20) / 300)
    time_.at = 100.0
    assert meter.snapshot().bytes_per_s == 0
    assert meter.snapshot().eta_s is None


def test_the_last_speed_is_known_after_the_end() -> None:
    time_ = SkippingClock()
    meter = Meter([FileProgress("a", 1_000)], time_.clock)
    meter.enter("running")
    time_.at = 2.0
    meter.got("a", 1_000, 1_000)
    meter.enter("done")
    time_.at = 3_600.0
    assert (meter.snapshot().bytes_per_s, meter.snapshot().eta_s) == (500.0, 0.0)


@pytest.mark.parametrize("parallel", [1, 4])
def test_the_limit_on_bytes_per_second_is_for_all_files_together(
    hub: LoopbackHub, tmp_path: Path, parallel: int
) -> None:
    clock = SkippingClock()
    settings = options(max_bytes_per_s=10_000, parallel=parallel, clock=clock.clock)
    fetch(hub, tmp_path, [hub_of(hub)], settings)
    assert is_whole(tmp_path)
    assert clock.at == pytest.approx(SIZE / 10_000, rel=0.05)


def test_what_threads_take_at_one_moment_is_paid_for_by_one_after_the_other() -> None:
    waits: list[float] = []
    clock = Clock(lambda: 0.0, lambda event, seconds: bool(waits.append(seconds)))
    limiter = Limiter(100, clock=clock, stop=Stop(clock))
    for count in (100, 100, 50):
        limiter.take(count)
    assert waits == [1.0, 2.0, 2.5]


def test_files_are_fetched_in_parallel_up_to_the_limit(tmp_path: Path) -> None:
    model = {f"{number}.safetensors": bytes([number]) * 1_000 for number in range(6)}
    with LoopbackHub(model) as hub:
        hub.fault("*", Fault(stall_after=500))
        download = download_of(hub, tmp_path, [hub_of(hub)], options(parallel=4, stall_s=600, clock=Clock()))
        thread, _ = in_thread(download.run)
        while download.progress().done_bytes < 4 * 500:
            time.sleep(0.005)
        begun = [file.path for file in download.progress().files if file.done_bytes]
        download.cancel()
        thread.join(30)
        assert len(begun) == 4
        assert sorted(path for path in model if hub.asked(path)) == sorted(begun)

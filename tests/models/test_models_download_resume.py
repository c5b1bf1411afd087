"""A download goes on from its last good byte, whatever ended the one before."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from download_kit import BIG, MODEL, SMALL, download_of, fetch, hub_of, in_thread, is_whole, mirror_of, options
from support import download_child
from support.loopback_hub import REPOSITORY, Fault, LoopbackHub

from wan22.errors import Cancelled, DiskFull, DownloadFailed, ServerFault
from wan22.models.download.disk import Disk, RandomFile, open_part
from wan22.models.download.download import THREAD
from wan22.models.download.pace import Clock

RECORD = f"{BIG}.part.json"
PART = f"{BIG}.part"
HALF = 500_000


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub(MODEL) as server:
        yield server


def leave_half(hub: LoopbackHub, target: Path) -> None:
    """Have a run end in the middle of the large file."""
    hub.fault(BIG, Fault(cut_after=HALF, times=1))
    hub.fault(BIG, Fault(status=404))
    with pytest.raises(DownloadFailed):
        fetch(hub, target, [hub_of(hub)])
    hub.cure()


def test_a_later_run_asks_for_the_rest(hub: LoopbackHub, tmp_path: Path) -> None:
    leave_half(hub, tmp_path)
    progress = fetch(hub, tmp_path, [hub_of(hub)]).progress()
    assert is_whole(tmp_path)
    assert hub.asked(BIG)[-1].headers["range"] == f"bytes={HALF}-"
    assert hub.asked(BIG)[-1].headers["if-range"] == hub.etag(BIG)
    assert progress.fetched_bytes == len(MODEL[BIG]) - HALF


def test_a_record_says_which_bytes_came_from_whom(hub: LoopbackHub, tmp_path: Path) -> None:
    leave_half(hub, tmp_path)
    record = json.loads((tmp_path / RECORD).read_bytes())
    assert record["pieces"] == [[0, HALF, hub_of(hub).name, hub.etag(BIG)]]


def test_bytes_that_the_disk_harmed_are_fetched_again_from_the_same_source(hub: LoopbackHub, tmp_path: Path) -> None:
    leave_half(hub, tmp_path)
    with (tmp_path / PART).open("r+b") as file:
        file.write(bytes(1_000))
    fetch(hub, tmp_path, [hub_of(hub)])
    assert is_whole(tmp_path)
    assert [seen.headers.get("range") for seen in hub.asked(BIG)][-2:] == [f"bytes={HALF}-", f"bytes=0-{HALF - 1}"]


@pytest.mark.parametrize("record", [b"", b"[]", b'{"pieces": 3}', b"{", None], ids=str)
def test_a_part_without_a_usable_record_is_begun_anew(hub: LoopbackHub, tmp_path: Path, record: bytes | None) -> None:
    leave_half(hub, tmp_path)
    (tmp_path / RECORD).unlink()
    if record is not None:
        (tmp_path / RECORD).write_bytes(record)
    fetch(hub, tmp_path, [hub_of(hub)])
    assert is_whole(tmp_path)
    assert hub.asked(BIG)[-1].first_byte == 0


@pytest.mark.parametrize(
    "pieces",
    [
        [["a", 5, "x", None]],
        [[0, 10**12, "x", None]],
        [[-5, 5, "x", None]],
        [[0, 400_000, "x", None], [100, 300_000, "y", None]],
        [[HALF, 10, "x", None]],
        [[0]],
        "pieces",
    ],
    ids=str,
)
def test_a_record_that_lies_never_lets_wrong_bytes_through(
    hub: LoopbackHub, tmp_path: Path, pieces: list[object]
) -> None:
    leave_half(hub, tmp_path)
    record = json.loads((tmp_path / RECORD).read_bytes())
    (tmp_path / RECORD).write_text(json.dumps({**record, "pieces": pieces}), "utf-8")
    fetch(hub, tmp_path, [hub_of(hub)])
    assert is_whole(tmp_path)


def test_a_part_of_another_content_is_not_gone_on_with(hub: LoopbackHub, tmp_path: Path) -> None:
    leave_half(hub, tmp_path)
    changed = {**MODEL, BIG: MODEL[BIG][::-1]}
    with LoopbackHub(changed) as newer:
        fetch(newer, tmp_path, [hub_of(newer)])
        assert newer.asked(BIG)[0].first_byte == 0
    assert is_whole(tmp_path, changed)


def test_a_second_run_fetches_and_hashes_nothing(hub: LoopbackHub, tmp_path: Path) -> None:
    fetch(hub, tmp_path, [hub_of(hub)])
    sent = hub.sent()
    fetch(hub, tmp_path, [])  # so that it could not fetch anything either
    assert hub.sent() == sent


def test_files_that_somebody_put_there_are_hashed_and_only_wrong_ones_fetched(hub: LoopbackHub, tmp_path: Path) -> None:
    (tmp_path / "transformer").mkdir()
    (tmp_path / BIG).write_bytes(MODEL[BIG])
    (tmp_path / SMALL).write_bytes(bytes(len(MODEL[SMALL])))
    fetch(hub, tmp_path, [hub_of(hub)])
    assert is_whole(tmp_path)
    assert (hub.sent(BIG), hub.sent(SMALL)) == (0, len(MODEL[SMALL]))


def test_a_file_that_was_harmed_later_is_noticed_by_the_next_run(hub: LoopbackHub, tmp_path: Path) -> None:
    fetch(hub, tmp_path, [hub_of(hub)])
    (tmp_path / BIG).write_bytes(bytes(len(MODEL[BIG])))
    fetch(hub, tmp_path, [hub_of(hub)])
    assert is_whole(tmp_path)


def on_disk(target: Path, path: str) -> int:
    """Bytes of a file or of its part."""
    there = [place for place in (target / path, target / f"{path}.part") if place.exists()]
    return there[0].stat().st_size if there else 0


def test_killed_at_any_moment_it_goes_on_from_the_last_byte_on_disk(tmp_path: Path) -> None:
    dice, size, kills = random.Random(7), 4_000_000, 4
    model = {f"transformer/{name}.safetensors": dice.randbytes(size) for name in ("one", "two")}
    with LoopbackHub(model) as hub:
        hub.fault("*", Fault(bytes_per_s=3_000_000))
        marks = sorted(dice.randrange(2 * size) for _ in range(kills))
        for mark in [*marks, None]:
            held = {path: on_disk(tmp_path, path) for path in model}
            asked = {path: len(hub.asked(path)) for path in model}
            child = download_child.start(hub.endpoint, REPOSITORY, tmp_path)
            while mark is not None and hub.sent() < mark and child.poll() is None:
                time.sleep(0.005)
            if mark is not None:
                child.kill()
            child.wait()
            begun = {path: [seen.first_byte for seen in hub.asked(path)[asked[path] :]] for path in model}
            assert all(first == [held[path]] for path, first in begun.items() if first)
            assert all((tmp_path / path).read_bytes() == model[path] for path in model if (tmp_path / path).exists())
        assert child.returncode == 0
        assert is_whole(tmp_path, model)


def test_cancelled_while_nothing_comes_it_returns_and_keeps_the_part(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.fault(BIG, Fault(stall_after=HALF))
    download = download_of(hub, tmp_path, [hub_of(hub)], options(stall_s=600, clock=Clock()))
    thread, raised = in_thread(download.run)
    while download.progress().done_bytes < HALF:
        time.sleep(0.005)
    download.cancel()
    thread.join(30)  # far from the 600 seconds that the read would last
    assert [type(error) for error in raised] == [Cancelled]
    assert download.progress().state == "cancelled"
    for worker in (thread for thread in threading.enumerate() if thread.name == THREAD):
        worker.join(30)  # its read was ended, and did not only lose its listener
        assert not worker.is_alive()
    assert (tmp_path / PART).read_bytes() == MODEL[BIG][:HALF]


def test_cancelled_while_it_waits_for_a_source_it_returns(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.fault(BIG, Fault(status=503, retry_after="60"))
    download = download_of(hub, tmp_path, [hub_of(hub)], options(clock=Clock()))
    thread, raised = in_thread(download.run)
    while not download.progress().retries:
        time.sleep(0.005)
    download.cancel()
    thread.join(30)
    assert [type(error) for error in raised] == [Cancelled]


def test_cancelled_while_a_server_does_not_answer_at_all_it_returns(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.fault(BIG, Fault(silent=True))
    download = download_of(hub, tmp_path, [hub_of(hub)], options(stall_s=600, clock=Clock()))
    thread, raised = in_thread(download.run)
    while not hub.asked(BIG):
        time.sleep(0.005)
    download.cancel()
    thread.join(30)
    assert [type(error) for error in raised] == [Cancelled]


def test_cancelled_before_it_begins_it_fetches_nothing(hub: LoopbackHub, tmp_path: Path) -> None:
    download = download_of(hub, tmp_path, [hub_of(hub)])
    download.cancel()
    with pytest.raises(Cancelled):
        download.run()
    assert hub.sent() == 0


def test_two_at_a_time_are_refused_in_one_folder(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.fault(BIG, Fault(stall_after=HALF))
    first = download_of(hub, tmp_path, [hub_of(hub)], options(stall_s=600, clock=Clock()))
    thread, _ = in_thread(first.run)
    while first.progress().done_bytes < HALF:
        time.sleep(0.005)
    with pytest.raises(DownloadFailed, match=r"Another process \(process \d+ on .*\) is writing into"):
        download_of(hub, tmp_path, [hub_of(hub)]).run()
    first.cancel()
    thread.join(30)
    hub.cure()
    fetch(hub, tmp_path, [hub_of(hub)])
    assert is_whole(tmp_path)


class _SmallFile:
    """A file that takes so many bytes, as on a disk that is full then."""

    def __init__(self, file: RandomFile, disk: SmallDisk) -> None:
        self._file = file
        self._disk = disk
        self.seek, self.truncate, self.fileno, self.close = file.seek, file.truncate, file.fileno, file.close

    def write(self, data: memoryview, /) -> int | None:
        room = self._disk.room
        if room == 0:
            raise OSError(28, "No space left on device")
        written = self._file.write(data[:room])
        self._disk.room -= written or 0
        return written


class SmallDisk:
    """A disk that says it has space, and has room for less."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.disk = Disk(lambda path: 10**12, lambda path: _SmallFile(open_part(path), self))


def test_a_disk_that_fills_in_the_middle_is_named_with_both_figures_and_the_part_is_kept(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    download = download_of(hub, tmp_path, [hub_of(hub)], options(disk=SmallDisk(HALF + 7).disk))
    with pytest.raises(DiskFull, match=r"needs [\d,]+ bytes more, and 1,000,000,000,000 bytes are free") as failure:
        download.run()
    assert "kept" in failure.value.hint
    assert download.progress().state == "failed"
    fetch(hub, tmp_path, [hub_of(hub)])
    assert is_whole(tmp_path)
    assert hub.asked(BIG)[-1].first_byte > HALF - 70_000  # but for the block that did not fit


def test_a_folder_that_cannot_be_written_is_a_fault_with_a_cure(hub: LoopbackHub, tmp_path: Path) -> None:
    (tmp_path / "transformer").write_bytes(b"a file where a folder should be")
    with pytest.raises(ServerFault, match="can't be written") as failure:
        fetch(hub, tmp_path, [hub_of(hub), mirror_of(hub)])
    assert failure.value.hint

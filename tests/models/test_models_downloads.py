"""Downloads and verifications of the server: one at a time for each model, seen, joined, stopped and told of."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.loopback_hub import Fault, LoopbackHub
from support.weight_files import holding

from wan22.errors import DiskFull, DownloadFailed, WrongState
from wan22.models.catalogue import SPECS
from wan22.models.downloads import Downloads
from wan22.models.last_speed import LastSpeed
from wan22.models.run_status import RunStatus, event_of
from wan22.models.variants import Models
from wan22.models.verification import Check, WrongFile, find_check, hashed_at
from wan22.models.weights import Weights
from wan22.settings import DownloadSettings, ModelsSettings
from wan22.tasks import ModelType

TI2V, T2V = ModelType.TI2V_5B, ModelType.T2V_A14B
SPEC = SPECS[TI2V]
BIG = "vae/diffusion_pytorch_model.safetensors"
PARTS = {"scheduler": "scheduler_config", "tokenizer": "tokenizer_config"}
FILES = {
    "model_index.json": b'{"vae": ["diffusers", "AutoencoderKLWan"]}',
    **{f"{part}/{PARTS.get(part, 'config')}.json": b"{ }" for part in SPEC.components},
    "transformer/diffusion_pytorch_model.safetensors": holding(b"transformer" * 1000),
    "text_encoder/model.safetensors": holding(b"encoder" * 1000),
    BIG: holding(b"vae" * 400_000),
}


class House:
    """Downloads of a hub on this machine, with all that they told."""

    def __init__(self, folder: Path, hub: LoopbackHub) -> None:
        self.hub, self.target = hub, folder / SPEC.slug / "dev"
        self.told: queue.Queue[RunStatus] = queue.Queue()
        models = Models(ModelsSettings(models_dirs=(folder,)), folder / "home")
        self.weights = Weights(models, DownloadSettings(hub=hub.endpoint, stall_s=30.0))
        self.downloads = Downloads(self.weights, self.told.put, every_s=0.01)

    def quick_check(self) -> tuple[WrongFile, ...]:
        check = Check(self.downloads.plan_check(TI2V).sought, quick=True)
        check.run()
        return check.wrong

    def end(self) -> RunStatus:
        """What was told last of the run that is under way."""
        while (status := self.told.get(timeout=30)).state == "running":
            pass
        return status

    def fetch(self) -> RunStatus:
        self.downloads.start(TI2V)
        return self.end()

    def damage(self) -> None:
        """Change a byte of a file, and not its size."""
        content = (self.target / BIG).read_bytes()
        (self.target / BIG).write_bytes(content[:-1] + b"x")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with ExitStack() as closing:
        hub = closing.enter_context(LoopbackHub(FILES, repository=SPEC.repository))
        house = House(tmp_path, hub)
        closing.callback(house.downloads.close)
        yield house


@pytest.fixture
def stalled(house: House) -> House:
    """A download that waits for the middle of its largest file."""
    house.hub.fault(BIG, Fault(stall_after=1000))
    house.downloads.start(TI2V)
    while next(file for file in house.told.get(timeout=30).progress.files if file.path == BIG).done_bytes < 1000:
        pass
    return house


def test_a_download_goes_on_by_itself_and_tells_of_its_end(house: House) -> None:
    begun = house.downloads.start(TI2V)
    assert (begun.state, begun.kind, begun.target) == ("running", "download", house.target)
    ended = house.end()
    assert (ended.state, ended.error) == ("done", None)
    assert ended.ended_at
    assert ended.progress.done_bytes == sum(map(len, FILES.values()))
    assert {path: (house.target / path).read_bytes() for path in FILES} == FILES
    assert house.downloads.find(TI2V) == house.downloads.status()[0] == ended


def test_the_speed_of_the_last_download_is_known_to_a_later_server(house: House) -> None:
    began = time.monotonic()
    house.fetch()
    fastest = sum(map(len, FILES.values())) / (time.monotonic() - began)
    later = Downloads(house.weights)
    assert later.bytes_per_s == house.downloads.bytes_per_s
    assert later.bytes_per_s
    assert later.bytes_per_s >= fastest


@pytest.mark.parametrize(
    "content", ["", "{", "[" * 100_000, '{"bytes_per_s": 1e-300}', '{"bytes_per_s": Infinity}', '{"bytes_per_s": true}']
)
def test_a_damaged_record_of_the_speed_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / ".wan22").mkdir()
    (tmp_path / ".wan22/speed.json").write_text(content)
    assert LastSpeed(tmp_path).find() is None


@pytest.mark.parametrize("content", ['{"at": "2026-01-01", "wrong": []}', '{"at": 1}', "[" * 100_000, '{"at": "x"}'])
def test_a_record_of_a_check_is_read_or_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / ".wan22").mkdir()
    (tmp_path / ".wan22/checked.json").write_text(content)
    assert (hashed_at(tmp_path) is None) == ("2026" not in content)


def test_a_file_of_a_few_bytes_says_nothing_of_the_speed(house: House) -> None:
    house.fetch()
    known = house.downloads.bytes_per_s
    (house.target / "model_index.json").unlink()
    house.fetch()
    assert house.downloads.bytes_per_s == known


def test_nothing_runs_before_it_is_asked_for(house: House) -> None:
    assert house.downloads.status() == ()
    assert house.downloads.find(TI2V) is None
    assert house.downloads.bytes_per_s is None
    assert house.hub.asked("listing") == []


def test_a_second_request_joins_the_first_without_asking_the_hub(stalled: House) -> None:
    asked = len(stalled.hub.asked("listing"))
    first = stalled.downloads.find(TI2V)
    joined = stalled.downloads.start(TI2V)
    assert first
    assert joined.started_at == first.started_at
    assert len(stalled.hub.asked("listing")) == asked


def test_a_cancelled_download_keeps_what_it_has(stalled: House) -> None:
    assert stalled.downloads.cancel(TI2V).cancel_requested
    ended = stalled.end()
    assert (ended.state, ended.cancel_requested, ended.error) == ("cancelled", False, None)
    stalled.hub.cure()
    assert stalled.fetch().state == "done"
    assert stalled.hub.asked(BIG)[-1].first_byte == 1000


def test_only_what_runs_can_be_cancelled(house: House) -> None:
    with pytest.raises(WrongState, match="Nothing is being downloaded"):
        house.downloads.cancel(TI2V)
    house.fetch()
    with pytest.raises(WrongState, match="Nothing is being downloaded"):
        house.downloads.cancel(TI2V)


def test_closing_ends_what_runs_and_starts_nothing_more(stalled: House) -> None:
    stalled.downloads.close()
    ended = stalled.downloads.find(TI2V)
    assert ended
    assert ended.state == "cancelled"
    with pytest.raises(WrongState, match="stopping"):
        stalled.downloads.start(TI2V)


def test_a_download_that_fails_says_why_and_can_be_started_again(house: House) -> None:
    house.hub.fault(BIG, Fault(status=404))
    ended = house.fetch()
    assert ended.state == "failed"
    assert ended.error
    assert BIG in ended.error.detail
    assert ended.error.hint
    house.hub.cure()
    assert house.fetch().state == "done"


def test_what_does_not_fit_or_is_not_listed_is_refused_at_once(house: House) -> None:
    lfs = {"oid": "0" * 64, "size": 10**15}
    house.hub.list_also({"type": "file", "path": "vae/huge.safetensors", "size": 10**15, "oid": "0" * 40, "lfs": lfs})
    with pytest.raises(DiskFull):
        house.downloads.start(TI2V)
    with pytest.raises(DownloadFailed):
        house.downloads.start(T2V)
    assert house.downloads.status() == ()
    assert not house.target.exists()


def test_a_verification_reads_every_byte_and_is_remembered(house: House) -> None:
    house.fetch()
    house.downloads.verify(TI2V)
    whole = house.end()
    assert (whole.kind, whole.state, whole.wrong) == ("verify", "done", ())
    assert whole.progress.fetched_bytes == whole.progress.size_bytes
    house.damage()
    house.downloads.verify(TI2V)
    assert house.end().wrong == (WrongFile(BIG, "wrong content"),)
    check = find_check(house.target)
    assert check
    assert check.wrong == (WrongFile(BIG, "wrong content"),)
    assert hashed_at(house.target) == check.at


def test_a_repair_fetches_what_is_wrong_and_nothing_else(house: House) -> None:
    house.fetch()
    house.damage()
    before = len(house.hub.asked("text_encoder/model.safetensors"))
    house.downloads.verify(TI2V, repair=True)
    ended = house.end()
    assert (ended.kind, ended.state, ended.wrong) == ("download", "done", (WrongFile(BIG, "wrong content"),))
    assert (house.target / BIG).read_bytes() == FILES[BIG]
    assert len(house.hub.asked("text_encoder/model.safetensors")) == before
    check = find_check(house.target)
    assert check
    assert check.wrong == (), "the file that was wrong is another one now"


@pytest.mark.parametrize("fault", ["missing", "wrong size", "damaged header"])
def test_a_quick_check_needs_no_run_and_a_quick_repair_mends(house: House, fault: Any) -> None:
    house.fetch()
    (house.target / BIG).unlink()
    if fault != "missing":
        (house.target / BIG).write_bytes(b"short" if fault == "wrong size" else b"x" * len(FILES[BIG]))
    assert house.quick_check() == (WrongFile(BIG, fault),)
    assert house.downloads.find(TI2V).kind == "download"
    house.downloads.verify(TI2V, quick=True, repair=True)
    assert house.end().state == "done"
    assert house.quick_check() == ()


def test_a_model_that_is_downloaded_can_not_be_verified_meanwhile(stalled: House) -> None:
    with pytest.raises(WrongState, match="is being downloaded"):
        stalled.downloads.verify(TI2V)


def test_a_verification_can_be_stopped(house: House) -> None:
    house.fetch()
    run = Check(house.downloads.plan_check(TI2V).sought)
    run.cancel()
    with pytest.raises(Exception, match="cancelled"):
        run.run()
    assert run.progress().state == "cancelled"
    assert find_check(house.target) is None


@pytest.mark.parametrize("record", ["", "[]", '{"at": 3, "wrong": []}', '{"at": "2026-11-20T10:00:00+00:00"}'])
def test_a_damaged_record_is_none(tmp_path: Path, record: str) -> None:
    (tmp_path / ".wan22").mkdir()
    (tmp_path / ".wan22/checked.json").write_text(record)
    assert find_check(tmp_path) is None
    assert hashed_at(tmp_path) is None


def test_an_event_has_what_a_bar_needs(stalled: House) -> None:
    status = stalled.downloads.find(TI2V)
    assert status
    event = event_of(status)
    assert (event["model_type"], event["kind"], event["state"]) == ("TI2V-5B", "download", "running")
    assert 0 < event["progress"] < 1
    assert event["files"] == len(FILES)
    assert event["error"] is None

"""Sources are asked in order, a bad one is left in the middle of a file, and wrong bytes never get a name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from download_kit import (
    BIG,
    MODEL,
    SMALL,
    TOKEN,
    SkippingClock,
    download_of,
    fetch,
    hub_of,
    is_whole,
    mirror_of,
    options,
)
from support.loopback_hub import Fault, LoopbackHub

from wan22.errors import DownloadFailed
from wan22.models.download import HttpFolder, LocalFolder
from wan22.models.download.pace import Backoff

HALF = 500_000


@pytest.fixture
def servers() -> Iterator[list[LoopbackHub]]:
    with ExitStack() as stack:
        yield [stack.enter_context(LoopbackHub(MODEL)) for _ in range(3)]


def test_the_hub_alone_brings_everything(servers: list[LoopbackHub], tmp_path: Path) -> None:
    progress = fetch(servers[0], tmp_path, [hub_of(servers[0])]).progress()
    assert is_whole(tmp_path)
    assert (progress.state, progress.done_bytes, progress.retries) == ("done", progress.size_bytes, 0)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut_after=HALF),
        Fault(stall_after=HALF),
        Fault(cut_after=0),
        Fault(status=404),
        Fault(status=403),
        Fault(status=503),
        Fault(status=429, retry_after="30"),
        Fault(wrong_bytes=True),
        Fault(wrong_bytes=True, without=("ETag", "Content-Length", "X-Repo-Commit")),
        Fault(redirect_to="http://127.0.0.1:1/nothing"),
        Fault(redirect_to="ftp://127.0.0.1/nothing"),
        Fault(redirect_to="http://a..b/nothing"),
        Fault(redirect_to="http://[/nothing"),
        Fault(size_said="9" * 5_000),
    ],
    ids=str,
)
def test_what_the_hub_does_wrong_the_mirror_makes_good(
    servers: list[LoopbackHub], tmp_path: Path, fault: Fault
) -> None:
    hub, mirror, _ = servers
    hub.fault(BIG, fault)
    fetch(hub, tmp_path, [hub_of(hub), mirror_of(mirror)])
    assert is_whole(tmp_path)
    assert mirror.asked(BIG)


@pytest.mark.parametrize("fault", [Fault(cut_after=HALF), Fault(stall_after=HALF)], ids=str)
def test_what_a_source_gave_before_it_failed_is_kept(servers: list[LoopbackHub], tmp_path: Path, fault: Fault) -> None:
    hub, mirror, _ = servers
    hub.fault(BIG, fault)
    fetch(hub, tmp_path, [hub_of(hub), mirror_of(mirror)])
    assert [seen.first_byte for seen in mirror.asked(BIG)] == [HALF]


@pytest.mark.parametrize("without", [("ETag",), ("Content-Length",), ("X-Repo-Commit", "X-Linked-Etag")], ids=str)
def test_headers_that_only_help_may_be_missing(
    servers: list[LoopbackHub], tmp_path: Path, without: tuple[str, ...]
) -> None:
    servers[0].fault(BIG, Fault(without=without, cut_after=HALF, times=1))
    servers[0].fault(BIG, Fault(without=without))
    fetch(servers[0], tmp_path, [hub_of(servers[0])])
    assert is_whole(tmp_path)


def test_a_range_without_a_word_on_where_it_begins_is_not_used(servers: list[LoopbackHub], tmp_path: Path) -> None:
    servers[0].fault(BIG, Fault(cut_after=HALF, times=1))
    servers[0].fault(BIG, Fault(without=("Content-Range",)))
    with pytest.raises(DownloadFailed, match="another range"):
        fetch(servers[0], tmp_path, [hub_of(servers[0])])


def test_a_dead_hub_and_a_dead_mirror_leave_the_folder(servers: list[LoopbackHub], tmp_path: Path) -> None:
    hub, mirror, folder = servers
    download = download_of(hub, tmp_path, [hub_of(hub), mirror_of(mirror), HttpFolder(folder.folder)])
    hub.close()
    mirror.close()
    download.run()
    assert is_whole(tmp_path)


def test_a_folder_on_disk_is_a_source(servers: list[LoopbackHub], tmp_path: Path) -> None:
    fetch(servers[0], tmp_path / "first", [hub_of(servers[0])])
    copy = tmp_path / "usb"
    shutil.copytree(tmp_path / "first", copy, ignore=shutil.ignore_patterns(".wan22"))
    fetched = servers[0].sent()
    fetch(servers[0], tmp_path / "second", [LocalFolder(copy)])
    assert is_whole(tmp_path / "second")
    assert servers[0].sent() == fetched


def test_a_damaged_folder_on_disk_is_left_for_the_hub(servers: list[LoopbackHub], tmp_path: Path) -> None:
    copy = tmp_path / "usb"
    (copy / "transformer").mkdir(parents=True)
    (copy / BIG).write_bytes(bytes(len(MODEL[BIG])))
    (copy / SMALL).write_bytes(b"{}")
    fetch(servers[0], tmp_path / "model", [LocalFolder(copy), hub_of(servers[0])])
    assert is_whole(tmp_path / "model")


def test_of_a_mixed_file_only_the_bytes_of_the_less_trusted_source_are_fetched_again(
    servers: list[LoopbackHub], tmp_path: Path
) -> None:
    hub, mirror, _ = servers
    hub.fault(BIG, Fault(cut_after=HALF, times=1))
    mirror.fault(BIG, Fault(wrong_bytes=True))
    fetch(hub, tmp_path, [hub_of(hub), mirror_of(mirror)])
    assert is_whole(tmp_path)
    assert [seen.first_byte for seen in hub.asked(BIG)] == [0, HALF]


def test_a_source_whose_bytes_made_a_mixed_file_wrong_is_not_asked_again(
    servers: list[LoopbackHub], tmp_path: Path
) -> None:
    hub, mirror, _ = servers
    hub.fault(BIG, Fault(cut_after=HALF, times=1))
    hub.fault(SMALL, Fault(status=404))
    mirror.fault(BIG, Fault(wrong_bytes=True))
    with pytest.raises(DownloadFailed, match=f"{SMALL} can't be fetched.*404.*served wrong bytes"):
        fetch(hub, tmp_path, [hub_of(hub), mirror_of(mirror)])  # the larger file comes first
    assert (tmp_path / BIG).read_bytes() == MODEL[BIG]
    assert mirror.asked(SMALL) == []


def test_bytes_in_the_middle_are_replaced_alone(servers: list[LoopbackHub], tmp_path: Path) -> None:
    hub, liar, _ = servers
    hub.fault(BIG, Fault(cut_after=300_000, times=1))
    liar.fault(BIG, Fault(wrong_bytes=True, cut_after=200_000))
    fetch(hub, tmp_path, [hub_of(hub), mirror_of(liar)])
    assert is_whole(tmp_path)
    assert [seen.headers.get("range") for seen in hub.asked(BIG)] == [None, "bytes=500000-", "bytes=300000-499999"]
    assert (hub.sent(BIG), liar.sent(BIG)) == (800_000 + 200_000, 200_000)


def test_a_wrong_first_source_does_not_spoil_what_the_second_gave(servers: list[LoopbackHub], tmp_path: Path) -> None:
    hub, mirror, _ = servers
    hub.fault(BIG, Fault(wrong_bytes=True, cut_after=HALF, times=1))
    hub.fault(BIG, Fault(wrong_bytes=True))
    fetch(hub, tmp_path, [hub_of(hub), mirror_of(mirror)])
    assert is_whole(tmp_path)


def test_who_was_wrong_in_one_file_clears_the_others_in_the_next(tmp_path: Path) -> None:
    model = {f"{number}.safetensors": bytes([number]) * 600_000 for number in range(4)}
    with LoopbackHub(model) as hub, LoopbackHub(model) as mirror:
        hub.fault("*", Fault(wrong_bytes=True, cut_after=200_000))
        fetch(hub, tmp_path, [hub_of(hub), mirror_of(mirror)], options(parallel=4))
    assert is_whole(tmp_path, model)


def test_a_source_shown_wrong_is_not_asked_again_in_this_run(servers: list[LoopbackHub], tmp_path: Path) -> None:
    hub, liar, _ = servers
    liar.fault(BIG, Fault(wrong_bytes=True))
    fetch(hub, tmp_path, [mirror_of(liar), hub_of(hub)])  # the larger file comes first
    assert is_whole(tmp_path)
    assert (len(liar.asked(BIG)), liar.asked(SMALL)) == (1, [])


def test_what_is_still_coming_from_a_source_shown_wrong_is_not_waited_for(tmp_path: Path) -> None:
    model = {"slow.gguf": bytes(2_000_000), "fast.gguf": bytes(1_000)}
    with LoopbackHub(model) as liar, LoopbackHub(model) as hub:
        liar.fault("fast.gguf", Fault(wrong_bytes=True))
        liar.fault("slow.gguf", Fault(bytes_per_s=50_000))  # for 40 seconds
        fetch(hub, tmp_path, [mirror_of(liar), hub_of(hub)], options(parallel=2))
        assert liar.sent("slow.gguf") < 2_000_000
    assert is_whole(tmp_path, model)


def test_when_all_serve_wrong_bytes_nothing_gets_a_name(servers: list[LoopbackHub], tmp_path: Path) -> None:
    for server in servers:
        server.fault("*", Fault(wrong_bytes=True))
    with pytest.raises(DownloadFailed, match="served wrong bytes") as failure:
        fetch(servers[0], tmp_path, [hub_of(servers[0]), mirror_of(servers[1]), HttpFolder(servers[2].folder)])
    assert not (tmp_path / BIG).exists()
    assert not (tmp_path / SMALL).exists()
    assert failure.value.hint


def test_a_file_that_no_source_has_does_not_stop_the_others(servers: list[LoopbackHub], tmp_path: Path) -> None:
    servers[0].fault(BIG, Fault(status=404))
    download = download_of(servers[0], tmp_path, [hub_of(servers[0])])
    with pytest.raises(DownloadFailed, match=f"{BIG} can't be fetched.*404"):
        download.run()
    assert (tmp_path / SMALL).read_bytes() == MODEL[SMALL]
    assert {file.path: file.state for file in download.progress().files} == {BIG: "failed", SMALL: "done"}


def test_the_token_goes_to_the_hubs_own_host_alone(servers: list[LoopbackHub], tmp_path: Path) -> None:
    hub, mirror, folder = servers
    hub.fault(BIG, Fault(cut_after=HALF))
    mirror.fault("*", Fault(cut_after=100_000))
    fetch(hub, tmp_path, [hub_of(hub, TOKEN), mirror_of(mirror), HttpFolder(folder.folder)])
    own_port = int(hub.endpoint.rsplit(":", 1)[1])
    with_token = {
        (seen.port, seen.headers["authorization"]) for seen in hub.all_seen() if "authorization" in seen.headers
    }
    assert with_token == {(own_port, f"Bearer {TOKEN}")}
    assert {seen.port for seen in hub.all_seen()} != {own_port}
    others = [*mirror.all_seen(), *folder.all_seen()]
    assert others
    assert not any("authorization" in seen.headers for seen in others)


def test_a_server_that_ignores_ranges_costs_nothing_that_is_there(servers: list[LoopbackHub], tmp_path: Path) -> None:
    hub, _, _ = servers
    hub.fault(BIG, Fault(cut_after=HALF, times=1))
    hub.fault(BIG, Fault(ignore_range=True))
    download = fetch(hub, tmp_path, [hub_of(hub)])
    assert is_whole(tmp_path)
    assert download.progress().fetched_bytes == sum(map(len, MODEL.values()))  # what came twice was passed over


def test_a_server_that_ignores_ranges_is_left_for_one_that_does_not(servers: list[LoopbackHub], tmp_path: Path) -> None:
    hub, mirror, _ = servers
    hub.fault(BIG, Fault(cut_after=HALF, times=1))
    hub.fault(BIG, Fault(ignore_range=True))
    mirror.fault(BIG, Fault(status=503, times=1))
    fetch(hub, tmp_path, [hub_of(hub), mirror_of(mirror)])
    assert is_whole(tmp_path)
    assert [seen.first_byte for seen in mirror.asked(BIG)] == [HALF, HALF]  # also after the hub began anew


def test_the_same_source_is_asked_for_the_same_file(servers: list[LoopbackHub], tmp_path: Path) -> None:
    hub, _, _ = servers
    hub.fault(BIG, Fault(cut_after=HALF, times=1, etag='"one"'))
    hub.fault(BIG, Fault(etag='"two"'))
    fetch(hub, tmp_path, [hub_of(hub)])
    assert is_whole(tmp_path)
    assert [seen.headers.get("if-range") for seen in hub.asked(BIG)] == [None, '"one"', None]


def test_a_mirror_that_has_another_version_is_left_before_the_first_byte(
    servers: list[LoopbackHub], tmp_path: Path
) -> None:
    hub, _, _ = servers
    with LoopbackHub({**MODEL, BIG: bytes(len(MODEL[BIG]))}) as stale:
        fetch(hub, tmp_path, [mirror_of(stale), hub_of(hub)])
        assert is_whole(tmp_path)
        assert stale.sent(BIG) == 0


def test_a_shorter_file_is_left_before_the_first_byte(servers: list[LoopbackHub], tmp_path: Path) -> None:
    with LoopbackHub({BIG: MODEL[BIG][:-1], SMALL: MODEL[SMALL]}) as short:
        download = download_of(servers[0], tmp_path, [HttpFolder(short.folder)])
        with pytest.raises(DownloadFailed, match="another size"):
            download.run()
    assert download.progress().fetched_bytes == len(MODEL[SMALL])


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (Fault(status=503, times=2), [0.5, 1.0]),
        (Fault(status=429, retry_after="7", times=2), [7.0, 7.0]),
        (Fault(status=503, retry_after="86400", times=1), [60.0]),
        (Fault(status=429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT", times=1), []),
        (Fault(status=503, retry_after="soon", times=1), [0.5]),
    ],
    ids=str,
)
def test_a_lone_source_is_waited_for_as_long_as_it_says_and_no_longer_than_a_minute(
    servers: list[LoopbackHub], tmp_path: Path, fault: Fault, waits: list[float]
) -> None:
    servers[0].fault(BIG, fault)
    clock = SkippingClock()
    fetch(servers[0], tmp_path, [hub_of(servers[0])], options(clock=clock.clock))
    assert is_whole(tmp_path)
    assert clock.waits == waits


def test_a_source_is_given_up_after_its_tries(servers: list[LoopbackHub], tmp_path: Path) -> None:
    servers[0].fault(BIG, Fault(status=503))
    with pytest.raises(DownloadFailed, match="answered 503, 4 times"):
        fetch(servers[0], tmp_path, [hub_of(servers[0])], options(backoff=Backoff(tries=4)))
    assert len(servers[0].asked(BIG)) == 4


def test_a_source_that_brings_a_little_each_time_is_not_given_up(servers: list[LoopbackHub], tmp_path: Path) -> None:
    servers[0].fault(BIG, Fault(cut_after=100_000))
    fetch(servers[0], tmp_path, [hub_of(servers[0])], options(backoff=Backoff(tries=2)))
    assert is_whole(tmp_path)
    assert [seen.first_byte for seen in servers[0].asked(BIG)] == list(range(0, 1_000_000, 100_000))
    assert servers[0].sent(BIG) == len(MODEL[BIG])


def test_redirects_without_end_are_an_end(servers: list[LoopbackHub], tmp_path: Path) -> None:
    hub, _, _ = servers
    hub.fault(BIG, Fault(redirect_to=f"{hub.folder}/{BIG}"))
    with pytest.raises(DownloadFailed, match="redirects without end"):
        fetch(hub, tmp_path, [hub_of(hub)])


def test_without_sources_it_says_so(servers: list[LoopbackHub], tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="No source is configured"):
        fetch(servers[0], tmp_path, [])

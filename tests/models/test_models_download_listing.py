"""What a hub lists is believed in its hashes alone: names are judged, pickles are left, and mirrors are never asked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from download_kit import BIG, MODEL, SMALL, TOKEN, SkippingClock, download_of, fetch, hub_of, is_whole, mirror_of
from hypothesis import given
from hypothesis import strategies as st
from support.loopback_hub import COMMIT, REPOSITORY, Fault, LoopbackHub

from wan22.errors import DownloadFailed
from wan22.models.download import Hub, Listing, LocalFolder, WantedFile, choose
from wan22.models.download.listing import checked, file_of
from wan22.models.download.manifest import find_manifest, write_manifest
from wan22.models.download.names import fault_of, is_fetched

HOSTILE = [
    "",
    "/etc/passwd.json",
    "../x.json",
    "a/../../x.json",
    "a/./x.json",
    "a//x.json",
    "a/",
    "..",
    "a\\..\\x.json",
    "\\\\server\\share\\x.json",
    "C:/x.json",
    "C:x.json",
    "a/x.json:stream",
    "a\0.json",
    "a\n.json",
    "con",
    "CON.json",
    "a/nul.tar.json",
    "com1.json",
    "LPT9",
    "aux .json",
    "COM¹.json",
    "CONIN$.json",
    "a/x.json.",
    "a/x.json ",
    " x.json",
    "a /x.json",
    "a?.json",
    "a*.json",
    "<a>.json",
    "a|b.json",
    '"a".json',
    "x" * 300 + ".json",
    "/".join(["folder"] * 100) + "/x.json",
]
LEFT_OUT = [
    ".gitattributes",
    ".wan22/manifest.json",
    ".git/config.json",
    "a/.hidden.json",
    "run.py",
    "model.safetensors.part",
    "model.safetensors.part.json",
    "weights.bin",
    "weights.pt",
    "T5.pth",
    "x.ckpt",
    "x.pkl",
    "lib.so",
    "page.html",
    "модель.json",
    "json",
]
WANTED = [
    "model_index.json",
    BIG,
    "vae/config.json",
    "tokenizer/spiece.model",
    "q4/wan-Q4_K_M.gguf",
    "README.md",
    "A b.txt",
]


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub(MODEL) as server:
        yield server


def find(hub: LoopbackHub, target: Path, revision: str = "main") -> Listing:
    return Hub(hub_of(hub), clock=SkippingClock().clock, stall_s=1).find_listing(revision, target)


def listing(*paths: str) -> Listing:
    return Listing("r", "main", COMMIT, tuple(WantedFile(path, 1, "sha256", "0" * 64) for path in paths))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_refused_and_with_it_the_listing(name: str) -> None:
    assert fault_of(name)
    with pytest.raises(DownloadFailed, match="refused"):
        checked(name, 1, "sha256", "0" * 64)


@pytest.mark.parametrize("name", LEFT_OUT, ids=ascii)
def test_what_is_of_no_safe_kind_is_left_out(name: str) -> None:
    assert fault_of(name) is None
    assert not is_fetched(name)


@pytest.mark.parametrize("name", WANTED)
def test_weights_and_texts_are_fetched(name: str) -> None:
    assert fault_of(name) is None
    assert is_fetched(name)


PARTS = st.sampled_from(
    ["..", ".", "", "a", "con", "nul.json", "C:", "\\", "a.json", " ", "x.safetensors", ".wan22", "~"]
)


@given(st.one_of(st.text(max_size=40), st.lists(PARTS, max_size=5).map("/".join)).map(lambda name: name + ".json"))
def test_no_name_that_is_fetched_leads_out_of_its_folder(name: str) -> None:
    if fault_of(name) is None and is_fetched(name):
        root = os.path.normpath("/models/here")
        path = os.path.normpath(os.path.join(root, name))  # noqa: PTH118 - as the system puts them together
        assert path.startswith(root + os.sep)
        assert not {"\\", ":", "\0"} & set(name)
        assert os.path.relpath(path, root).replace(os.sep, "/") == name


def test_the_hub_is_asked_for_the_commit_and_its_files_page_by_page(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.page(1)
    found = find(hub, tmp_path)
    assert (found.commit, [file.path for file in found.files]) == (COMMIT, [SMALL, BIG])
    assert [file.algorithm for file in found.files] == ["git-sha1", "sha256"]
    assert len(hub.asked("listing")) == 3


def test_the_listing_goes_on_at_no_other_host(hub: LoopbackHub, tmp_path: Path) -> None:
    with LoopbackHub(MODEL) as other:
        hub.fault("listing", Fault(redirect_to=f"{other.endpoint}/api/models/{REPOSITORY}/revision/main"))
        with pytest.raises(DownloadFailed, match="redirects to another host"):
            Hub(hub_of(hub, TOKEN), clock=SkippingClock().clock).find_listing("main", tmp_path)
        assert other.all_seen() == []


@pytest.mark.parametrize(
    ("fault", "said", "cure"),
    [
        (Fault(status=404), "404", "Check the repository and the revision"),
        (Fault(status=401), "token", "WAN22_DOWNLOAD__TOKEN"),
        (Fault(status=403), "licence", "Accept the licence"),
        (Fault(status=503), "503", "Wait some minutes"),
    ],
    ids=str,
)
def test_without_hub_and_manifest_nothing_is_fetched(
    hub: LoopbackHub, tmp_path: Path, fault: Fault, said: str, cure: str
) -> None:
    hub.fault("listing", fault)
    with pytest.raises(DownloadFailed, match=f"{said}.*has no manifest") as failure:
        find(hub, tmp_path)
    assert cure in failure.value.hint


def test_a_hub_that_is_busy_for_a_moment_is_asked_again(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.fault("listing", Fault(status=429, retry_after="3", times=2))
    assert find(hub, tmp_path).commit == COMMIT


def test_with_a_manifest_the_mirror_suffices_when_the_hub_is_dead(hub: LoopbackHub, tmp_path: Path) -> None:
    with LoopbackHub(MODEL) as mirror:
        hub.fault(BIG, Fault(status=404))
        with pytest.raises(DownloadFailed):
            fetch(hub, tmp_path, [hub_of(hub)])
        hub.close()
        fetch(hub, tmp_path, [hub_of(hub), mirror_of(mirror)])
        assert is_whole(tmp_path)
        assert mirror.asked("listing") == []


def test_what_a_mirror_serves_is_judged_by_the_manifest(hub: LoopbackHub, tmp_path: Path) -> None:
    write_manifest(tmp_path, find(hub, tmp_path))
    hub.close()
    with LoopbackHub({**MODEL, BIG: bytes(len(MODEL[BIG]))}) as forger, pytest.raises(DownloadFailed):
        fetch(hub, tmp_path, [mirror_of(forger)])
    assert not (tmp_path / BIG).exists()


def test_the_manifest_of_the_very_commit_needs_no_hub(hub: LoopbackHub, tmp_path: Path) -> None:
    kept = find(hub, tmp_path)
    write_manifest(tmp_path, kept)
    seen = len(hub.all_seen())
    assert find(hub, tmp_path, COMMIT) == kept
    assert len(hub.all_seen()) == seen


def test_a_manifest_of_another_repository_or_revision_is_no_manifest(hub: LoopbackHub, tmp_path: Path) -> None:
    kept = find(hub, tmp_path)
    hub.close()
    for other in (replace(kept, repository="Wan-AI/Other"), replace(kept, revision="v2")):
        write_manifest(tmp_path, other)
        with pytest.raises(DownloadFailed):
            find(hub, tmp_path)


@pytest.mark.parametrize(
    "harm",
    [
        {"commit": "main"},
        {"files": 3},
        {"files": [{}]},
        {"files": [{"path": "../x.json", "size": 1, "algorithm": "sha256", "digest": "0" * 64}]},
        {"files": [{"path": "x.json", "size": -1, "algorithm": "sha256", "digest": "0" * 64}]},
        {"files": [{"path": "x.json", "size": 1, "algorithm": "crc32", "digest": "0" * 64}]},
    ],
    ids=str,
)
def test_a_damaged_manifest_is_no_manifest(hub: LoopbackHub, tmp_path: Path, harm: dict[str, object]) -> None:
    write_manifest(tmp_path, find(hub, tmp_path))
    path = tmp_path / ".wan22" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **harm}), "utf-8")
    assert find_manifest(tmp_path) is None


@pytest.mark.parametrize("size", [-1, 1 << 53, 10**400, True, "1", 1.0, None])
def test_a_size_that_no_file_has_spoils_the_listing(size: object) -> None:
    with pytest.raises(DownloadFailed, match="no usable size"):
        checked("x.json", size, "sha256", "0" * 64)


@pytest.mark.parametrize("oid", [None, "0" * 63, "Z" * 64, 5])
def test_an_entry_without_a_usable_hash_spoils_the_listing(oid: object) -> None:
    with pytest.raises(DownloadFailed, match="no usable size or hash"):
        file_of({"type": "file", "path": BIG, "size": 3, "oid": "0" * 40, "lfs": {"oid": oid, "size": 3}})


def test_a_listing_with_a_hostile_name_fetches_nothing(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.list_also({"type": "file", "path": "../../evil.json", "size": 2, "oid": "0" * 40})
    with pytest.raises(DownloadFailed, match="refused"):
        find(hub, tmp_path)


def test_pickles_are_left_out_where_there_is_something_else() -> None:
    chosen = choose(listing("vae/a.safetensors", "vae/a.bin", ".gitattributes", "run.py"), ["vae/*"])
    assert [file.path for file in chosen.files] == ["vae/a.safetensors"]


def test_pickles_are_refused_by_name_where_they_are_needed() -> None:
    with pytest.raises(DownloadFailed, match=r"text_encoder/t5\.pth, a pickle"):
        choose(listing("vae/a.safetensors", "text_encoder/t5.pth"), ["vae/*", "text_encoder/*"])


def test_a_pattern_that_nothing_matches_is_an_error() -> None:
    with pytest.raises(DownloadFailed, match="no file for vae"):
        choose(listing("transformer/a.safetensors"), ["transformer/*", "vae/*"])


@pytest.mark.parametrize("paths", [("vae/A.json", "vae/a.json"), ("a.json/b.json", "A.json")])
def test_two_names_that_are_one_on_some_systems_are_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(DownloadFailed, match="The listing has both"):
        choose(listing(*paths))


def test_a_folder_that_leads_out_of_the_models_folder_is_refused(hub: LoopbackHub, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "model" / "transformer").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(DownloadFailed, match="leads out of"):
        download_of(hub, tmp_path / "model", [LocalFolder(tmp_path)])
    assert list((tmp_path / "elsewhere").iterdir()) == []

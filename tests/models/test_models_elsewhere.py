"""Weights of other programs: which folders of the cache, and which of ComfyUI's files, are theirs to lend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants
from models_kit import TI2V

from wan22.models.catalogue import VARIANTS
from wan22.models.elsewhere import Elsewhere

DEV = VARIANTS[TI2V]["dev"]
OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's folder of the official repository, with nothing in it."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = tmp_path / "hub" / f"models--{str(DEV.repository).replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    return folder


def keep(cache: Path, commit: str, ref: str | None = None) -> Path:
    folder = cache / "snapshots" / commit
    folder.mkdir(parents=True)
    if ref:
        (cache / "refs" / ref).write_text(commit)
    return folder


def test_the_pinned_snapshot_comes_first_then_main_s_then_the_others(cache: Path) -> None:
    others, main, pinned = keep(cache, OLD), keep(cache, NEW, "main"), keep(cache, DEV.revision)
    assert Elsewhere(hf_cache=True, comfyui_dirs=()).snapshots(DEV) == [pinned, main, others]


def test_a_branch_is_looked_up_and_one_that_leads_out_is_not_followed(cache: Path) -> None:
    branch = replace(DEV, revision="wip")
    found = keep(cache, NEW, "wip")
    assert Elsewhere(hf_cache=True, comfyui_dirs=()).snapshots(branch) == [found]
    (cache / "refs" / "wip").write_text("../../secret")
    assert Elsewhere(hf_cache=True, comfyui_dirs=()).snapshots(branch) == [found], "it is among the others"


def test_the_cache_may_be_left_alone(cache: Path) -> None:
    keep(cache, DEV.revision)
    alone = Elsewhere(hf_cache=False, comfyui_dirs=())
    assert alone.snapshots(DEV) == []
    assert alone.snapshot(str(DEV.repository), DEV.revision) is None


def test_a_variant_without_a_repository_has_no_place_there(cache: Path) -> None:
    assert Elsewhere(hf_cache=True, comfyui_dirs=()).snapshots(VARIANTS[TI2V]["bf16"]) == []


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_comfyui_s_files_are_found_in_any_case_and_below(tmp_path: Path) -> None:
    here = [
        write(tmp_path / "diffusion_models" / "Wan.gguf"),
        write(tmp_path / "diffusion_models" / "wan" / "WAN.GGUF"),
        write(tmp_path / "unet" / "wan.gguf"),
    ]
    write(tmp_path / "checkpoints" / "wan.gguf")
    assert Elsewhere(hf_cache=True, comfyui_dirs=(tmp_path,)).files("wan.gguf") == here


def test_a_link_that_leads_out_is_not_followed_and_a_linked_folder_is(tmp_path: Path) -> None:
    disk, comfyui = tmp_path / "disk", tmp_path / "comfyui"
    inside, outside = write(disk / "wan.gguf"), write(tmp_path / "elsewhere" / "wan.gguf")
    comfyui.mkdir()
    (comfyui / "diffusion_models").symlink_to(disk)
    assert Elsewhere(hf_cache=True, comfyui_dirs=(comfyui,)).files("wan.gguf") == [inside.resolve()]
    inside.unlink()
    inside.symlink_to(outside)
    assert Elsewhere(hf_cache=True, comfyui_dirs=(comfyui,)).files("wan.gguf") == []


def test_folders_that_are_not_there_have_nothing(tmp_path: Path) -> None:
    assert Elsewhere(hf_cache=True, comfyui_dirs=(tmp_path / "gone",)).files("wan.gguf") == []

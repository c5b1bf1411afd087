"""Conversions end with the same files whatever happens to them, and touch nothing that is not theirs."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from convert_kit import STEM, convert, hashes, planned, shards, small_model
from safetensors.torch import load_file, save_file

from wan22.errors import Cancelled, DiskFull, ModelCorrupt, WrongState
from wan22.models.convert import Conversion, ConversionPlan
from wan22.models.convert.originals import originals_of
from wan22.models.download.disk import Disk


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    return small_model(tmp_path)


def test_what_stays_as_it_is_has_a_second_name_and_small_files_are_copied(dev: Path) -> None:
    target = convert(dev)
    for weights in ("vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"):
        assert (target / weights).samefile(dev / weights)
    assert not (target / "model_index.json").samefile(dev / "model_index.json")
    rest = {name: digest for name, digest in hashes(dev).items() if not name.startswith("transformer")}
    assert rest.items() <= hashes(target).items()


def test_across_disks_they_are_copied(dev: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    linked = hashes(convert(dev))
    shutil.rmtree(dev.parent / "int8")
    monkeypatch.setattr(os, "link", refused)  # there is one disk here
    target = convert(dev)
    assert hashes(target) == linked
    assert not (target / "vae" / f"{STEM}.safetensors").samefile(dev / "vae" / f"{STEM}.safetensors")


class Asked(dict[str, Any]):
    """Tensors that do something when the n-th of them is asked for."""

    def __init__(self, tensors: Mapping[str, Any], count: int, act: Callable[[], None]) -> None:
        super().__init__(tensors)
        self.left, self.act = count, act

    def __getitem__(self, name: str) -> Any:
        self.left -= 1
        if self.left == 0:
            self.act()
        return super().__getitem__(name)


def interrupted(plan: ConversionPlan, count: int, act: Callable[[], None]) -> ConversionPlan:
    """The plan, in which something happens at the n-th tensor."""
    first, *others = plan.transformers
    return replace(plan, transformers=(replace(first, tensors=Asked(first.tensors, count, act)), *others))


@pytest.mark.parametrize("count", [1, 60, 120])
def test_a_cancelled_one_goes_on_after_the_last_whole_file_to_the_same_bytes(dev: Path, count: int) -> None:
    wanted = hashes(convert(dev))
    shutil.rmtree(dev.parent / "int8")
    conversion: Conversion
    conversion = Conversion(interrupted(planned(dev), count, lambda: conversion.cancel()))  # noqa: PLW0108 - it comes to be here
    with pytest.raises(Cancelled, match=r"cancelled"):
        conversion.run()
    kept = {path: path.stat().st_mtime_ns for path in shards(dev.parent / "int8")}
    assert not (dev.parent / "int8" / "model_index.json").exists(), "it does not count as whole"
    target = convert(dev)
    assert hashes(target) == wanted
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


_DIE = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from convert_kit import planned
from test_models_convert_run import interrupted
from wan22.models.convert import Conversion
Conversion(interrupted(planned(Path(sys.argv[2])), int(sys.argv[3]), lambda: os._exit(9))).run()
"""
"""A process that ends between two tensors, without a word to anyone, as one that is killed."""


def test_a_killed_one_goes_on_to_the_same_bytes(dev: Path) -> None:
    wanted = hashes(convert(dev))
    shutil.rmtree(dev.parent / "int8")
    for count in ("5", "120"):
        died = subprocess.run([sys.executable, "-c", _DIE, str(Path(__file__).parent), str(dev), count], check=False)
        assert died.returncode == 9
        assert not (dev.parent / "int8" / "model_index.json").exists(), "it does not count as whole"
    assert hashes(convert(dev)) == wanted


@pytest.mark.parametrize("made", [0, 1, -1])
def test_what_a_killed_one_left_is_gone_on_with(dev: Path, made: int) -> None:
    """A kill leaves whole shards, the part of one more, and none of the files that come after."""
    target = convert(dev)
    wanted, files = hashes(target), shards(target)
    for path in (*files[made:], target / "model_index.json", target / "transformer" / "config.json"):
        path.unlink()
    part = files[made].with_name(files[made].name + ".part")
    part.write_bytes(b"half")
    assert planned(dev).missing_bytes > 0
    assert hashes(convert(dev)) == wanted


def test_one_of_a_changed_source_begins_anew(dev: Path) -> None:
    before = hashes(convert(dev))
    file = dev / "transformer" / f"{STEM}.safetensors"
    save_file({name: value + 1 for name, value in load_file(file).items()}, file, metadata={"format": "pt"})
    target = convert(dev)
    changed = [name for name, digest in hashes(target).items() if before[name] != digest]
    assert len(changed) == len(shards(target))


def test_a_whole_one_is_left_alone(dev: Path) -> None:
    target = convert(dev)
    times = [path.stat().st_mtime_ns for path in shards(target)]
    assert planned(dev).missing_bytes == 0
    convert(dev)
    assert [path.stat().st_mtime_ns for path in shards(target)] == times


def test_what_does_not_fit_is_refused_before_the_first_byte(dev: Path) -> None:
    plan = planned(dev, disk=Disk(free_bytes=lambda _: 12_345))
    with pytest.raises(DiskFull, match=rf"{plan.missing_bytes:,} bytes more .* 12,345 bytes are free"):
        Conversion(plan).run()
    assert not plan.target.exists()


def test_a_disk_that_fills_up_says_how_much_is_left_and_keeps_what_is_whole(dev: Path) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(DiskFull, match=r"is full, with [1-9][\d,]+ bytes still"):
        Conversion(interrupted(planned(dev), 60, full)).run()
    assert 0 < planned(dev).missing_bytes < planned(dev, "fp8").missing_bytes


def test_weights_from_elsewhere_are_never_written_over(dev: Path) -> None:
    own = dev.parent / "int8"
    shutil.copytree(dev, own)
    before = hashes(own)
    with pytest.raises(WrongState, match="weights that no conversion made"):
        planned(dev)
    assert hashes(own) == before


def test_originals_go_once_the_output_is_compared_and_others_files_stay(dev: Path) -> None:
    wanted = hashes(convert(dev))
    (dev / "notes.txt").write_text("mine")
    plan = planned(dev)
    Conversion(plan, originals=originals_of(plan, [dev.parents[1]])).run()
    assert [path.name for path in dev.rglob("*")] == ["notes.txt"]
    assert hashes(plan.target) == wanted


@pytest.mark.parametrize("file", ["transformer/*-00002-of-*", f"vae/{STEM}.safetensors"])
def test_originals_stay_where_the_output_is_not_what_was_written(dev: Path, file: str) -> None:
    before, target = hashes(dev), convert(dev)
    wanted = hashes(target)
    (path,) = target.glob(file)
    damaged = bytearray(path.read_bytes())
    damaged[-3] ^= 1
    path.unlink()  # it may be a second name of the original
    path.write_bytes(damaged)
    plan = planned(dev)
    with pytest.raises(ModelCorrupt, match=r"is not what was written"):
        Conversion(plan, originals=originals_of(plan, [dev.parents[1]])).run()
    assert hashes(dev) == before
    assert hashes(convert(dev)) == wanted


def test_what_is_outside_of_the_models_folders_is_never_removed(dev: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongState, match="not the models' own"):
        originals_of(planned(dev), [tmp_path / "elsewhere"])
    cache = tmp_path / "cache"
    cache.mkdir()
    file = dev / "transformer" / f"{STEM}.safetensors"
    file.rename(cache / "blob")
    file.symlink_to(cache / "blob")
    with pytest.raises(WrongState) as caught:
        originals_of(planned(dev), [dev.parents[1]])
    assert "Leave --remove-originals out" in caught.value.hint
    assert convert(dev).is_dir(), "it can be read all the same"


def test_a_model_in_the_cache_of_another_program_is_never_removed(dev: Path, tmp_path: Path) -> None:
    linked = tmp_path / "models" / "linked"
    linked.symlink_to(shutil.copytree(dev, tmp_path / "cache"), target_is_directory=True)
    with pytest.raises(WrongState):
        originals_of(planned(linked), [tmp_path / "models"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda weights: weights.pop("proj_out.bias"), "lacks proj_out.bias"),
        (lambda weights: weights.update({"proj_out.bias": torch.zeros(3)}), "proj_out.bias of"),
        (lambda weights: weights.update({"proj_out.bias": torch.zeros(192, dtype=torch.int8)}), "as I8"),
    ],
)
def test_a_source_that_is_not_whole_is_named(dev: Path, change: Callable[[dict[str, Any]], Any], said: str) -> None:
    file = dev / "transformer" / f"{STEM}.safetensors"
    weights = load_file(file)
    change(weights)
    save_file(weights, file)
    with pytest.raises(ModelCorrupt, match=said):
        planned(dev)


def test_nothing_is_made_of_8_bits(dev: Path) -> None:
    with pytest.raises(ModelCorrupt, match=r"is kept in int8, .* Convert the official weights"):
        planned(convert(dev), "bf16")


def test_a_file_that_is_cut_off_is_named(dev: Path) -> None:
    file = dev / "transformer" / f"{STEM}.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ModelCorrupt, match=f"{STEM}.safetensors can't be read"):
        planned(dev)

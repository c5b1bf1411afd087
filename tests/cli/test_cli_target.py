"""Results get a name that is their own, and replace nothing unless told to."""

from __future__ import annotations

from pathlib import Path

import pytest

from wan22.cli.target import Target
from wan22.client import RemoteTask
from wan22.errors import ConfigurationError

ID = "01980f2e-5b5c-7d3a-9f7e-3a1b2c4d5e6f"


def task(outputs: int = 1) -> RemoteTask:
    made = [
        {
            "index": n, "url": "/", "format": "mp4", "width": 64, "height": 64, "num_frames": 1, "fps": 8,
            "duration_s": 1, "size_bytes": 1, "sha256": "", "seed": n,
        }
        for n in range(outputs)
    ]  # fmt: skip
    fields = {"task_id": ID, "status": "completed", "model_type": "TI2V-5B", "created_at": "2026-01-01T00:00:00Z"}
    return RemoteTask.model_validate({**fields, "outputs": made})


def test_without_a_name_it_is_model_and_end_of_id_here() -> None:
    assert Target(None).place(task(), 0) == Path("ti2v-5b-2c4d5e6f.mp4")


def test_in_a_folder_too(tmp_path: Path) -> None:
    assert Target(tmp_path).place(task(), 0) == tmp_path / "ti2v-5b-2c4d5e6f.mp4"


def test_a_named_file_is_taken_at_its_word(tmp_path: Path) -> None:
    assert Target(tmp_path / "cat.mp4").place(task(), 0) == tmp_path / "cat.mp4"


def test_several_outputs_are_numbered(tmp_path: Path) -> None:
    assert Target(tmp_path / "cat.mp4").place(task(2), 1) == tmp_path / "cat-1.mp4"
    assert Target(None).place(task(2), 1) == Path("ti2v-5b-2c4d5e6f-1.mp4")


@pytest.mark.parametrize(("name", "expected"), [("a.mp4", "mp4"), ("a.WEBM", "webm"), ("a.b.png", "png"), ("a", None)])
def test_the_ending_asks_for_a_format(tmp_path: Path, name: str, expected: str | None) -> None:
    target = Target(tmp_path / name)
    target.check()
    assert target.format == expected


def test_without_an_ending_the_file_gets_one(tmp_path: Path) -> None:
    assert Target(tmp_path / "cat").place(task(), 0) == tmp_path / "cat.mp4"


@pytest.mark.parametrize(("name", "wanted"), [("a.avi", None), ("a.mp4", "webm"), ("a.avi", "mp4")])
def test_a_file_that_would_not_be_what_it_says_is_refused(tmp_path: Path, name: str, wanted: str | None) -> None:
    with pytest.raises(ConfigurationError, match="let it end in the format"):
        Target(tmp_path / name, wanted).check()


def test_a_folder_asks_for_none(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    assert Target(tmp_path / "folder.mp4").format is None


def test_an_old_file_is_kept_unless_forced(tmp_path: Path) -> None:
    old = tmp_path / "cat.mp4"
    old.write_text("")
    Target(old, force=True).check()
    Target(tmp_path).check()
    with pytest.raises(ConfigurationError, match=r"already there; .* --force"):
        Target(old).check()

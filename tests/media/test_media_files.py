"""What the disk refuses is told in our words; what is published is whole."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from wan22.errors import DiskFull, ServerFault
from wan22.media.files import disk_errors, publish, remove_file, sha256_of


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_its_own_error(code: int) -> None:
    with pytest.raises(DiskFull, match="The video could not be written"), disk_errors("The video"):
        raise OSError(code, "full", "/home/somebody/x.mp4")


def test_other_refusals_name_no_folder_to_callers() -> None:
    with pytest.raises(ServerFault, match="Read-only file system") as caught, disk_errors("The video"):
        raise OSError(errno.EROFS, "Read-only file system", "/home/somebody/x.mp4")
    assert "somebody" not in caught.value.detail + caught.value.hint
    assert "storage.home" in caught.value.hint


def test_publishing_replaces_what_has_the_name(tmp_path: Path) -> None:
    part, final = tmp_path / "a.part", tmp_path / "a"
    final.write_text("old")
    part.write_text("new")
    publish(part, final)
    assert final.read_text() == "new"
    assert not part.exists()


def test_removing_a_file_never_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    remove_file(tmp_path / "missing")
    (tmp_path / "folder").mkdir()
    remove_file(tmp_path / "folder")
    assert [record.action for record in caplog.records] == ["media.part_left"]  # type: ignore[attr-defined] - extra


def test_a_hash_is_that_of_the_whole_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "x").write_bytes(data)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(data).hexdigest()

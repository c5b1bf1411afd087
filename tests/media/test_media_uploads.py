"""Input pictures are kept once, durably, and fitted without being stretched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_kit import names
from PIL import Image
from support.pictures import encoded, gradient

from wan22.errors import InvalidImage, NotFound, ServerFault
from wan22.media.images import read_picture
from wan22.media.uploads import Uploads, fit

PICTURE = read_picture(encoded(gradient(64, 48)), max_pixels=10_000)
NAME = f"{PICTURE.ref.id}.png"


def test_what_is_saved_is_found_again(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "deep" / "uploads")
    ref = uploads.save(PICTURE)
    assert uploads.get(ref.id) == ref == PICTURE.ref
    assert np.array_equal(np.asarray(uploads.open(ref)), np.asarray(gradient(64, 48)))
    assert names(tmp_path / "deep" / "uploads") == [NAME]


def test_saving_twice_keeps_one_and_leaves_it_untouched(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    uploads.save(PICTURE)
    before = (tmp_path / NAME).stat()
    uploads.save(PICTURE)
    assert (tmp_path / NAME).stat() == before


def test_many_may_save_the_same_at_once(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: uploads.save(PICTURE).id, range(32))) == {PICTURE.ref.id}
    assert names(tmp_path) == [NAME]


def test_an_unknown_picture_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="send the picture itself"):
        Uploads(tmp_path).get(PICTURE.ref.id)
    with pytest.raises(NotFound):
        Uploads(tmp_path).open(PICTURE.ref)


def test_a_removed_picture_is_gone_and_may_be_removed_again(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    uploads.save(PICTURE)
    for _ in range(2):
        uploads.remove(PICTURE.ref.id)
    assert names(tmp_path) == []


@pytest.mark.parametrize("odd", ["", "..", "../x", "upl_", "upl_" + "G" * 32, f"{PICTURE.ref.id}.png"])
def test_no_other_file_can_be_removed(tmp_path: Path, odd: str) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(NotFound):
        Uploads(tmp_path / "uploads").remove(odd)
    assert names(tmp_path) == ["x.png"]


@pytest.mark.parametrize("left", [0, 20, 60])
def test_a_stored_picture_that_was_damaged_is_told(tmp_path: Path, left: int) -> None:
    uploads = Uploads(tmp_path)
    uploads.save(PICTURE)
    (tmp_path / NAME).write_bytes(PICTURE.png[:left])
    with pytest.raises(InvalidImage, match="again"):
        uploads.open(PICTURE.ref)


def test_a_folder_that_can_not_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerFault, match="The picture could not be written"):
        Uploads(tmp_path / "file").save(PICTURE)


def test_a_sweep_leaves_whole_pictures(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    uploads.save(PICTURE)
    (tmp_path / f"{PICTURE.ref.id}.0123.part").write_bytes(b"half")
    assert uploads.sweep() == 1
    assert names(tmp_path) == [NAME]


@given(*[st.integers(16, 200)] * 4)
def test_a_picture_is_cut_about_its_centre_and_never_stretched(width: int, height: int, to_x: int, to_y: int) -> None:
    rows, columns = np.mgrid[0:height, 0:width]
    ramp = np.stack([columns * 255 / (width - 1), rows * 255 / (height - 1), rows * 0], axis=-1).astype(np.uint8)
    fitted = np.asarray(fit(Image.fromarray(ramp), to_x, to_y)).astype(float)
    assert fitted.shape == (to_y, to_x, 3)
    assert abs(fitted[:, :, 0].mean() - 127) < 4, "centred from left to right"
    assert abs(fitted[:, :, 1].mean() - 127) < 4, "and from top to bottom"
    scale = max(to_x / width, to_y / height)
    across = fitted[to_y // 2, -1, 0] - fitted[to_y // 2, 0, 0]
    assert abs(across - 255 * to_x / (width * scale)) < 40, "both sides are scaled alike"

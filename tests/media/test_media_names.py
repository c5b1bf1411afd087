"""No name, whatever it is made of, leads out of the folders: a canary beside them is never read, named or removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_kit import TASK, make, render

from wan22.errors import NotFound
from wan22.media.outputs import Outputs
from wan22.media.uploads import Uploads

UPLOAD = "upl_" + "0" * 32

NAMES = [
    *("", ".", "..", "...", "/", "\\", "~", "*", "?", "%00", "\x00", "\n", " "),
    *("../canary.mp4", "..\\canary.mp4", "..%2fcanary.mp4", "..%5ccanary.mp4", "....//canary.mp4", "./0.mp4"),
    *("/etc/passwd", "//etc/passwd", "C:\\windows\\win.ini", "C:0.mp4", "\\\\host\\share\\0.mp4", "/windows/win.ini"),
    *("0.mp4/", "0.mp4/..", "0.mp4\\..", "0.mp4.", "0.mp4 ", " 0.mp4", "0.mp4\x00", "0.mp4\n", "0.mp4\x00.jpg"),
    *("0.mp4::$DATA", "0.mp4:stream", "0.mp4~1", "CON", "CON.mp4", "NUL.mp4", "COM1.mp4", "AUX.thumb.jpg"),
    *("00.mp4", "-1.mp4", "1e1.mp4", "٣.mp4", "０.mp4", "0.MP4", "0.mp4.part", "0.1.part.mp4", "0.1.part.jpg"),
    *("0.exe", "0.svg", "0.html", ".mp4", "0", "0.", "0.thumb.png", "thumb.jpg", "0.mp4" + "a" * 5000),
    *("file:0.mp4", "http://localhost/0.mp4", "0.mp4?x=1", "0.mp4#x", "{0}.mp4", "$HOME/0.mp4", "canary.mp4"),
]
IDS = [
    *(TASK.upper(), TASK + "/", TASK + "/..", "../" + TASK, TASK + "\n", "{" + TASK + "}", TASK.replace("-", "")),
    *(TASK + "\x00", TASK[:-1], "urn:uuid:" + TASK, TASK + "." + TASK),
]
UPLOAD_IDS = [
    *(UPLOAD + ".png", UPLOAD + "\n", UPLOAD.upper(), "upl_", "upl_" + "g" * 32, UPLOAD + "0", "../" + UPLOAD),
    *("upl_../../canary", "upl_" + "٣" * 32, "upl_" + "0" * 31 + "/"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one output in it and a canary on each level above."""
    home = tmp_path_factory.mktemp("home")
    make(Outputs(home / "outputs"), render(frames=1))
    for place in (home, home / "outputs"):
        (place / "canary.mp4").write_text("alive")
        (place / "canary.png").write_text("alive")
    return home


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_only_names_that_we_give_are_found(home: Path, name: str) -> None:
    with pytest.raises(NotFound):
        Outputs(home / "outputs").path(TASK, name)


@pytest.mark.parametrize("task_id", [*NAMES, *IDS], ids=ascii)
def test_only_task_ids_name_a_folder(home: Path, task_id: str) -> None:
    outputs = Outputs(home / "outputs")
    with pytest.raises(NotFound):
        outputs.path(task_id, "0.mp4")
    with pytest.raises(NotFound):
        outputs.remove(task_id)
    with pytest.raises(NotFound):
        outputs.create(task_id, 0, 1, request=None, render=None)  # type: ignore[arg-type] - never looked at
    assert (home / "outputs" / "canary.mp4").read_text() == (home / "canary.mp4").read_text() == "alive"
    assert outputs.path(TASK, "0.mp4").is_file()


@pytest.mark.parametrize("upload_id", [*NAMES, *UPLOAD_IDS], ids=ascii)
def test_only_upload_ids_name_a_picture(home: Path, upload_id: str) -> None:
    with pytest.raises(NotFound, match="send the picture"):
        Uploads(home / "uploads").get(upload_id)


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_at_all_is_a_name(home: Path, task_id: str, name: str) -> None:
    outputs = Outputs(home / "outputs")
    for pair in ((task_id, "0.mp4"), (TASK, name)):
        if pair != (TASK, "0.mp4"):
            with pytest.raises(NotFound):
                outputs.path(*pair)


def test_a_link_is_not_followed_out_of_the_folder(home: Path) -> None:
    folder = home / "outputs" / TASK
    (folder / "7.mp4").symlink_to(home / "canary.mp4")
    with pytest.raises(NotFound):
        Outputs(home / "outputs").path(TASK, "7.mp4")
    (home / "uploads").mkdir()
    (home / "uploads" / f"{UPLOAD}.png").symlink_to(home / "canary.png")
    with pytest.raises(NotFound):
        Uploads(home / "uploads").get(UPLOAD)


def test_removing_a_linked_folder_spares_what_it_links_to(home: Path, tmp_path: Path) -> None:
    other = TASK[:-1] + "2"
    (tmp_path / "0.mp4").write_text("alive")
    (home / "outputs" / other).symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(Exception, match="removal"):
        Outputs(home / "outputs").remove(other)
    assert (tmp_path / "0.mp4").read_text() == "alive"

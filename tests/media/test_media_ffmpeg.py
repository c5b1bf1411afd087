"""What ffmpeg does to us: it is missing, fails, hangs, talks too much; and what it must do: colours, qualities."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pytest
from media_kit import TASK, fake_ffmpeg, finish, make, names, render, writer

from wan22.errors import Cancelled, DiskFull, EncoderFailed
from wan22.media.ffmpeg import NEEDED_ENCODERS, FramePipe, check_ffmpeg, find_ffmpeg
from wan22.media.outputs import Outputs, OutputWriter
from wan22.media.recipes import recipe

scripts = pytest.mark.skipif(sys.platform == "win32", reason="Windows starts no scripts by their first line")

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 120, 60)]


@pytest.mark.parametrize("output_format", ["mp4", "webm", "gif"])
@pytest.mark.parametrize("quality", ["low", "medium", "high"])
def test_colours_come_back(tmp_path: Path, output_format: str, quality: str, decode_video: Any) -> None:
    """Twice over, since a format that stores differences must also find back to an earlier colour."""
    plan = render(64, 48, 2 * len(COLOURS))
    with writer(Outputs(tmp_path), plan, output_format=output_format, quality=quality) as made:
        for colour in COLOURS * 2:
            made.write(np.full((48, 64, 3), colour, np.uint8))
        artifact = made.finish(1)
    seen = decode_video(tmp_path / TASK / artifact.file_name).astype(int)
    assert np.abs(seen - np.array(COLOURS * 2)[:, None, None, :]).max() <= 4


@pytest.mark.parametrize("output_format", ["mp4", "webm"])
def test_a_video_says_how_its_colours_are_meant(tmp_path: Path, output_format: str) -> None:
    made = make(Outputs(tmp_path), render(), output_format=output_format)
    said = os.popen(f'"{find_ffmpeg()}" -hide_banner -i "{tmp_path / TASK / made.file_name}" 2>&1').read()
    assert "yuv420p(tv, bt709, progressive)" in said
    assert "SAR 1:1" in said
    assert "Audio" not in said


@pytest.mark.parametrize("output_format", ["mp4", "webm"])
def test_a_better_quality_is_a_larger_file(tmp_path: Path, output_format: str) -> None:
    plan = render(160, 96, 6)
    noise = np.random.default_rng(0).integers(0, 256, (6, 96, 160, 3)).astype(np.uint8)
    sizes = []
    for quality in ("low", "medium", "high"):
        with writer(Outputs(tmp_path), plan, output_format=output_format, quality=quality) as made:
            for frame in noise:
                made.write(frame)
            sizes.append(made.finish(1).size_bytes)
    assert sizes[0] < sizes[1] < sizes[2]


def test_the_number_of_threads_is_passed_on() -> None:
    told = recipe(render(), "x", output_format="mp4", quality="low", fps=8, threads=3)
    assert told[told.index("-threads") + 1] == "3"
    assert told[-1] == "file:x"


def test_a_picture_format_is_no_video() -> None:
    with pytest.raises(EncoderFailed, match="ask for mp4, webm or gif"):
        recipe(render(), "x", output_format="png", quality="low", fps=8, threads=0)


def test_the_ffmpeg_that_we_bring_has_all_encoders() -> None:
    info = check_ffmpeg()
    assert info.encoders == set(NEEDED_ENCODERS)
    assert not info.missing
    assert info.version
    assert info.path.is_absolute()


@scripts
def test_an_ffmpeg_without_an_encoder_is_told(tmp_path: Path) -> None:
    body = "print('ffmpeg version 4.2-shop built' if '-version' in sys.argv else ' V....D libx264  H.264')"
    info = check_ffmpeg(fake_ffmpeg(tmp_path, body))
    assert (info.version, info.missing) == ("4.2-shop", ("libvpx-vp9", "gif"))


@scripts
@pytest.mark.parametrize(
    ("body", "words"), [("sys.exit(4)", "ended with code 4"), ("print('hello')", "another program")], ids=str
)
def test_a_program_that_is_no_ffmpeg_is_told(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(EncoderFailed, match=words) as caught:
        check_ffmpeg(fake_ffmpeg(tmp_path, body))
    assert "wan22 doctor" in caught.value.hint


def test_a_missing_ffmpeg_is_told(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    with pytest.raises(EncoderFailed, match="can't be run"):
        check_ffmpeg(missing)
    with pytest.raises(EncoderFailed, match="can't be started: No such file") as caught:
        make(Outputs(tmp_path / "home", ffmpeg=missing), render())
    assert str(tmp_path) not in caught.value.detail, "names no folder of the server"
    assert names(tmp_path / "home") == []


@scripts
def test_a_file_that_may_not_be_run_is_told(tmp_path: Path) -> None:
    program = fake_ffmpeg(tmp_path, "")
    program.chmod(0o644)
    with pytest.raises(EncoderFailed, match="Permission denied"):
        make(Outputs(tmp_path / "home", ffmpeg=program), render())


@scripts
@pytest.mark.parametrize(
    "body",
    [
        "sys.stderr.write('first\\nthe codec is on strike\\n'); sys.exit(3)",
        "sys.stdin.buffer.read(); sys.stderr.write('the codec is on strike\\n'); sys.exit(3)",
        "sys.stdin.buffer.read(5000); sys.stderr.write('the codec is on strike\\n'); sys.exit(3)",
    ],
    ids=["at once", "at the end", "in the middle"],
)
def test_a_failing_ffmpeg_is_quoted(tmp_path: Path, body: str) -> None:
    outputs = Outputs(tmp_path / "home", ffmpeg=fake_ffmpeg(tmp_path, body))
    with pytest.raises(EncoderFailed, match=r"ended with code 3: .*the codec is on strike"):
        make(outputs, render(640, 480, 20))
    assert names(tmp_path / "home") == []


@scripts
def test_a_full_disk_has_its_own_error(tmp_path: Path) -> None:
    body = "sys.stdin.buffer.read(); sys.stderr.write(out + ': No space left on device'); sys.exit(228)"
    with pytest.raises(DiskFull, match="no space"):
        make(Outputs(tmp_path / "home", ffmpeg=fake_ffmpeg(tmp_path, body)), render())
    assert names(tmp_path / "home") == []


@scripts
def test_an_ffmpeg_that_makes_no_file_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="could not be written"):
        make(Outputs(tmp_path / "home", ffmpeg=fake_ffmpeg(tmp_path, "sys.stdin.buffer.read()")), render())
    assert names(tmp_path / "home") == []


@scripts
def test_an_ffmpeg_that_talks_without_end_does_not_block(tmp_path: Path) -> None:
    body = "sys.stderr.write('warning\\n' * 200_000); sys.stdin.buffer.read(); open(out, 'w').write('x')"
    assert make(Outputs(tmp_path / "home", ffmpeg=fake_ffmpeg(tmp_path, body)), render()).size_bytes == 1


def shares(made: OutputWriter, frame: npt.NDArray[np.uint8], count: int) -> list[float]:
    """What is told while an output of that many frames is finished."""
    told: list[float] = []
    with made:
        for _ in range(count):
            made.write(frame)
        made.finish(1, progress=told.append)
    assert told == sorted(set(told)), "each is more than the one before"
    return told


def test_the_frames_left_when_the_last_has_come_are_counted_as_they_are_encoded(tmp_path: Path) -> None:
    """Noise of a size whose encoding takes seconds, most of them after the last frame has gone into the pipe."""
    noise = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3)).astype(np.uint8)
    told = shares(writer(Outputs(tmp_path, encoder_threads=1), render(1920, 1080, 40)), noise, 40)
    assert len(told) > 2
    assert 0 < told[0] < 1
    assert told[-1] == 1


@pytest.mark.parametrize("output_format", ["mp4", "gif", "png"])
def test_a_finish_comes_to_1_however_short_it_is(tmp_path: Path, output_format: str) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    assert shares(writer(Outputs(tmp_path), render(frames=1), output_format=output_format), frame, 1)[-1] == 1


@scripts
def test_what_ffmpeg_counts_does_not_push_out_why_it_failed(tmp_path: Path) -> None:
    body = """
sys.stdin.buffer.read()
sys.stderr.write('the codec is on strike\\n')
for frame in [*range(20_000), 'N/A']:
    print(f'frame={frame}', 'fps=1.0', 'progress=continue', sep='\\n')
sys.exit(3)"""
    with pytest.raises(EncoderFailed, match=r"ended with code 3: the codec is on strike"):
        make(Outputs(tmp_path / "home", ffmpeg=fake_ffmpeg(tmp_path, body)), render())


@scripts
def test_a_cancel_ends_an_ffmpeg_that_never_does(tmp_path: Path) -> None:
    body = "open('pid', 'w').write(str(os.getpid())); sys.stdin.buffer.read(); time.sleep(600)"
    outputs, plan = Outputs(tmp_path / "home", ffmpeg=fake_ffmpeg(tmp_path, body)), render()
    pid_file = tmp_path / "home" / TASK / "pid"

    def check() -> None:
        if pid_file.exists() and pid_file.read_text():
            raise Cancelled("stop")

    with pytest.raises(Cancelled), writer(outputs, plan) as made:
        finish(made, plan, check)
    assert not psutil.pid_exists(int(pid_file.read_text()))


def write_often(pipe: FramePipe, frame: memoryview, check: Callable[[], None]) -> None:
    """More frames than can be on their way to an ffmpeg that takes none."""
    for _ in range(50):
        pipe.write(frame, check)


@scripts
def test_a_write_that_hangs_can_be_cancelled(tmp_path: Path) -> None:
    """ffmpeg takes nothing: one frame is on its way, one waits, and for the next there is no room."""
    pipe, frame = FramePipe(fake_ffmpeg(tmp_path, "time.sleep(600)"), [], folder=tmp_path), memoryview(bytes(10**7))

    def check() -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        write_often(pipe, frame, check)
    pipe.abort()
    pipe.abort()  # a second one finds nothing to do


@scripts
def test_a_frame_after_ffmpegs_end_is_an_error(tmp_path: Path) -> None:
    pipe = FramePipe(fake_ffmpeg(tmp_path, "sys.exit(3)"), [], folder=tmp_path)
    with pytest.raises(EncoderFailed, match="ended with code 3"):
        write_often(pipe, memoryview(bytes(10**6)), lambda: None)


def test_an_interrupt_at_the_keyboard_is_not_for_the_encoder(tmp_path: Path) -> None:
    """It leads a session of its own: Ctrl+C lets the server finish, or put back, the running task."""
    with writer(Outputs(tmp_path), render()):
        children = psutil.Process().children()
        assert children
        if hasattr(os, "getsid"):
            assert all(os.getsid(child.pid) != os.getsid(0) for child in children)
    assert not [child for child in psutil.Process().children() if child in children]

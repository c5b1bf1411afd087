"""Finished files: exactly what was asked for, found by their own names only, gone when they should be."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_kit import TASK, frames, make, names, render, shade, writer

from wan22.errors import EncoderFailed, NotFound
from wan22.media.outputs import Outputs

PLANS = {
    "as rendered": render(64, 48, 5),
    "trimmed": render(64, 48, 9, keep=(0, 1, 2, 3, 4, 5, 6)),
    "from the inside": render(64, 48, 9, keep=(0, 2, 5, 8)),
    "cropped": render(80, 64, 5, crop_width=70, crop_height=50),
    "odd crop, enlarged": render(80, 64, 5, crop_width=53, crop_height=39, output_width=106, output_height=78),
    "another shape": render(48, 96, 5, crop_width=47, crop_height=81, output_width=94, output_height=162),
    "reduced": render(96, 96, 5, output_width=34, output_height=34),
    "one frame": render(64, 48, 1),
}


@pytest.mark.parametrize("fps", [8, 12, 16, 24])
@pytest.mark.parametrize("output_format", ["mp4", "webm"])
def test_the_rate_is_exact(tmp_path: Path, output_format: str, fps: int, probe_video: Callable[[Path], Any]) -> None:
    made = make(Outputs(tmp_path), render(frames=13), output_format=output_format, fps=fps)
    assert probe_video(tmp_path / TASK / made.file_name) == (64, 48, 13, fps)
    assert (made.fps, made.duration_s) == (fps, 13 / fps)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
@pytest.mark.parametrize("output_format", ["mp4", "webm", "gif"])
def test_size_and_frames_are_exactly_those_asked_for(
    tmp_path: Path, output_format: str, plan: Any, decode_video: Callable[[Path], Any]
) -> None:
    made = make(Outputs(tmp_path), plan, output_format=output_format)
    seen = decode_video(tmp_path / TASK / made.file_name)
    assert seen.shape == (len(plan.keep), plan.output_height, plan.output_width, 3)
    assert (made.num_frames, made.height, made.width) == seen.shape[:3]
    wanted = np.array([shade(index) for index in plan.keep])[:, None, None, None]
    assert np.abs(seen.astype(int) - wanted).max() <= 5, "kept frames in order, and nothing from outside the crop"


@pytest.mark.parametrize("size", [(33, 47), (17, 1080)])
def test_a_gif_may_have_odd_sizes(tmp_path: Path, size: tuple[int, int], decode_video: Callable[[Path], Any]) -> None:
    made = make(Outputs(tmp_path), render(output_width=size[0], output_height=size[1]), output_format="gif")
    assert decode_video(tmp_path / TASK / made.file_name).shape == (5, size[1], size[0], 3)


@pytest.mark.parametrize("output_format", ["mp4", "webm"])
def test_odd_sizes_of_a_video_are_refused_in_words(tmp_path: Path, output_format: str) -> None:
    with pytest.raises(EncoderFailed, match="even width and height"):
        make(Outputs(tmp_path), render(output_width=33), output_format=output_format)
    assert names(tmp_path) == []


def test_a_gif_plays_as_long_as_it_should(tmp_path: Path) -> None:
    """Its clock ticks in hundredths, so that at 16 frames a second single frames last 60 or 70 ms."""
    from PIL import Image

    make(Outputs(tmp_path), render(frames=16), output_format="gif", fps=16)
    with Image.open(tmp_path / TASK / "0.gif") as image:
        lasting = [image.seek(index) or image.info["duration"] for index in range(image.n_frames)]
    assert sum(lasting) == 1000
    assert set(lasting) == {60, 70}


def test_the_artifact_describes_the_file(tmp_path: Path) -> None:
    made = make(Outputs(tmp_path), render())
    data = (tmp_path / TASK / "0.mp4").read_bytes()
    assert (made.index, made.file_name, made.thumbnail_name) == (0, "0.mp4", "0.thumb.jpg")
    assert (made.format, made.seed, made.size_bytes) == ("mp4", 7, len(data))
    assert made.sha256 == hashlib.sha256(data).hexdigest()
    assert names(tmp_path / TASK) == ["0.mp4", "0.thumb.jpg"], "no part files"


@pytest.mark.parametrize("output_format", ["mp4", "webm", "gif"])
def test_the_same_frames_give_the_same_bytes_and_no_word_of_the_machine(tmp_path: Path, output_format: str) -> None:
    first = make(Outputs(tmp_path / "a"), render(), output_format=output_format, prompt="a secret")
    again = make(Outputs(tmp_path / "b"), render(), output_format=output_format, prompt="another")
    assert first.sha256 == again.sha256
    data = (tmp_path / "a" / TASK / first.file_name).read_bytes()
    assert b"secret" not in data
    assert tmp_path.name.encode() not in data


def test_a_video_starts_playing_before_it_is_loaded(tmp_path: Path) -> None:
    make(Outputs(tmp_path), render())
    data = (tmp_path / TASK / "0.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("written", [0, 1, 3])
@pytest.mark.parametrize("output_format", ["mp4", "webm", "gif", "png"])
def test_an_abandoned_output_leaves_nothing(tmp_path: Path, output_format: str, written: int) -> None:
    plan = render(keep=(0,)) if output_format == "png" else render()
    with writer(Outputs(tmp_path), plan, output_format=output_format) as made:
        for frame in list(frames(plan))[:written]:
            made.write(frame)
    assert names(tmp_path) == []


def test_an_abandoned_output_leaves_the_others_alone(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    make(outputs, render())
    with writer(outputs, render(), index=1):
        pass
    assert names(tmp_path / TASK) == ["0.mp4", "0.thumb.jpg"]


def test_two_runs_of_a_task_do_not_write_into_each_other(tmp_path: Path) -> None:
    outputs, plan = Outputs(tmp_path), render()
    with writer(outputs, plan, fence=1) as stale, writer(outputs, plan, fence=2) as current:
        stale.write(np.zeros((48, 64, 3), np.uint8))
        for frame in frames(plan):
            current.write(frame)
        assert current.finish(1).num_frames == 5
    assert names(tmp_path / TASK) == ["0.mp4", "0.thumb.jpg"]


def test_a_second_run_replaces_the_files_of_the_first(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    make(outputs, render(frames=5))
    assert make(outputs, render(frames=9)).num_frames == 9
    assert names(tmp_path / TASK) == ["0.mp4", "0.thumb.jpg"]


def test_removing_takes_the_whole_folder_and_may_be_repeated(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    make(outputs, render())
    outputs.remove(TASK)
    outputs.remove(TASK)
    assert names(tmp_path) == []


def test_a_sweep_removes_what_a_dead_process_left_and_nothing_else(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    make(outputs, render())
    for name in ("0.3.part.mp4", "0.3.part.jpg", "1.3.part.webm"):
        (tmp_path / TASK / name).write_bytes(b"half")
    assert outputs.sweep() == 3
    assert outputs.sweep() == 0
    assert names(tmp_path / TASK) == ["0.mp4", "0.thumb.jpg"]


def test_a_sweep_of_a_home_that_is_not_there_yet_does_nothing(tmp_path: Path) -> None:
    assert Outputs(tmp_path / "none").sweep() == 0


def test_a_file_is_found_by_its_name(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    make(outputs, render())
    assert outputs.path(TASK, "0.mp4").read_bytes()
    assert outputs.path(TASK, "0.thumb.jpg").read_bytes()
    with pytest.raises(NotFound, match="outputs"):
        outputs.path(TASK, "1.mp4")

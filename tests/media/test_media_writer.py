"""One output in the making: which frames and which part of them get in, the thumbnail, and what is refused."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_kit import TASK, finish, frames, make, names, render, shade, writer
from PIL import Image

from wan22.errors import Cancelled, EncoderFailed
from wan22.media.outputs import Outputs
from wan22.media.writer import THUMBNAIL_SIDE, thumbnail, trim
from wan22.tasks import Render


@st.composite
def plans(draw: st.DrawFn) -> Render:
    """Any plan that the rules allow, small."""
    width, height, count = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.integers(1, 12))
    keep = draw(st.sets(st.integers(0, count - 1), min_size=1))
    crop = draw(st.integers(1, width)), draw(st.integers(1, height))
    return render(width, height, count, keep=tuple(sorted(keep)), crop_width=crop[0], crop_height=crop[1])


@given(plans())
def test_a_trim_is_the_centre(plan: Render) -> None:
    frame = np.zeros((plan.height, plan.width, 3), np.uint8)
    kept = trim(frame, plan)
    kept[:] = 1
    assert kept.shape == (plan.crop_height, plan.crop_width, 3)
    rows, columns = frame[:, :, 0].any(axis=1), frame[:, :, 0].any(axis=0)
    for line, length in ((rows, plan.crop_height), (columns, plan.crop_width)):
        before, after = int(line.argmax()), int(line[::-1].argmax())
        assert line.sum() == length
        assert after - before in (0, 1), "one more at the end where it can't be halved"


@given(plans())
def test_a_still_is_bit_for_bit_the_kept_frame(tmp_path_factory: pytest.TempPathFactory, plan: Render) -> None:
    folder = tmp_path_factory.mktemp("still")
    plan = plan.model_copy(update={"keep": plan.keep[-1:]})
    rng = np.random.default_rng(plan.num_frames)
    rendered = rng.integers(0, 256, (plan.num_frames, plan.height, plan.width, 3)).astype(np.uint8)
    with writer(Outputs(folder), plan, output_format="png") as made:
        for frame in rendered:
            made.write(frame)
        artifact = made.finish(1)
    with Image.open(folder / TASK / artifact.file_name) as image:
        assert np.array_equal(np.asarray(image), trim(rendered[plan.keep[0]], plan))


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 20).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1))))
def test_a_video_holds_the_kept_frames_in_order(
    tmp_path_factory: pytest.TempPathFactory, decode_video: Any, case: tuple[int, set[int]]
) -> None:
    folder = tmp_path_factory.mktemp("video")
    plan = render(32, 32, case[0], keep=tuple(sorted(case[1])))
    made = make(Outputs(folder), plan, quality="high")
    seen = decode_video(folder / TASK / made.file_name).mean(axis=(1, 2, 3))
    assert np.abs(seen - [shade(index) for index in plan.keep]).max() < 3


@pytest.mark.parametrize("output_format", ["png", "webp"])
@pytest.mark.parametrize("quality", ["low", "medium", "high"])
def test_a_still_is_scaled_and_told_as_one(tmp_path: Path, output_format: str, quality: str) -> None:
    plan = render(64, 48, 5, keep=(2,), crop_width=51, crop_height=37, output_width=101, output_height=73)
    made = make(Outputs(tmp_path), plan, output_format=output_format, quality=quality)
    assert (made.num_frames, made.fps, made.duration_s) == (1, 1, 0)
    with Image.open(tmp_path / TASK / f"0.{output_format}") as image:
        assert (image.format, image.mode, image.size) == (output_format.upper(), "RGB", (101, 73))
        assert np.abs(np.asarray(image).astype(int) - shade(2)).max() <= 3
    assert names(tmp_path / TASK) == sorted([f"0.{output_format}", "0.thumb.jpg"])


def test_a_still_of_several_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderFailed, match="holds one frame, not 5"):
        make(Outputs(tmp_path), render(), output_format="png")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("output", "wanted"),
    [((640, 480), (320, 240)), ((480, 854), (180, 320)), ((100, 60), (100, 60)), ((3200, 2), (320, 1))],
)
def test_a_thumbnail_has_the_shape_of_the_output(output: tuple[int, int], wanted: tuple[int, int]) -> None:
    plan = render(64, 64, output_width=output[0], output_height=output[1])
    assert thumbnail(np.zeros((64, 64, 3), np.uint8), plan).size == wanted
    assert max(wanted) <= THUMBNAIL_SIDE


def test_a_thumbnail_shows_the_middle_of_what_is_kept(tmp_path: Path) -> None:
    make(Outputs(tmp_path), render(80, 64, 17, keep=tuple(range(2, 11)), crop_width=60, crop_height=40))
    with Image.open(tmp_path / TASK / "0.thumb.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (60, 40))
        assert np.abs(np.asarray(image).astype(int) - shade(6)).max() <= 2


@pytest.mark.parametrize("output_format", ["mp4", "webm", "gif"])
def test_frames_need_not_be_contiguous(tmp_path: Path, output_format: str, decode_video: Any) -> None:
    plan = render(48, 32, 3)
    upright = np.zeros((48, 32, 3), np.uint8)
    upright[:10] = 255
    with writer(Outputs(tmp_path), plan, output_format=output_format) as made:
        for _ in range(3):
            made.write(upright.transpose(1, 0, 2)[::-1])
        artifact = made.finish(1)
    seen = decode_video(tmp_path / TASK / artifact.file_name)
    assert seen[:, :, :8].min() > 240
    assert seen[:, :, 12:].max() < 15


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((64, 48, 3), np.uint8),
        np.zeros((48, 64), np.uint8),
        np.zeros((48, 64, 4), np.uint8),
        np.zeros((48, 64, 3), np.float32),
    ],
    ids=lambda frame: f"{frame.dtype}{frame.shape}",
)
def test_a_frame_of_another_kind_is_refused(tmp_path: Path, frame: Any) -> None:
    with writer(Outputs(tmp_path), render()) as made, pytest.raises(EncoderFailed, match="was planned"):
        made.write(frame)
    assert names(tmp_path) == []


@pytest.mark.parametrize("count", [0, 4])
def test_missing_frames_are_refused(tmp_path: Path, count: int) -> None:
    plan = render(keep=(0, 1))
    with writer(Outputs(tmp_path), plan) as made:
        for frame in list(frames(plan))[:count]:
            made.write(frame)
        with pytest.raises(EncoderFailed, match=f"{count} of 5 frames"):
            made.finish(1)
    assert names(tmp_path) == []


def test_frames_beyond_the_plan_are_refused(tmp_path: Path) -> None:
    plan = render(frames=1)
    with writer(Outputs(tmp_path), plan) as made:
        for frame in frames(plan):
            made.write(frame)
        with pytest.raises(EncoderFailed, match="More than the planned 1"):
            made.write(frame)


@pytest.mark.parametrize(
    "changes",
    [
        {"keep": ()},
        {"keep": (5,)},
        {"keep": (-1, 0)},
        {"keep": (1, 0)},
        {"keep": (0, 0)},
        {"crop_width": 65},
        {"crop_height": 49},
        {"crop_width": 0},
    ],
    ids=str,
)
def test_a_plan_that_can_not_be_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(EncoderFailed, match="plan keeps"):
        make(Outputs(tmp_path), render(**changes))
    assert names(tmp_path) == []


def test_nothing_can_be_written_outside_the_with_block(tmp_path: Path) -> None:
    made = writer(Outputs(tmp_path), render())
    with pytest.raises(EncoderFailed, match="with"):
        made.write(np.zeros((48, 64, 3), np.uint8))
    with made:
        pass
    with pytest.raises(EncoderFailed, match="with"):
        made.finish(1)


def test_a_cancel_while_the_last_frames_are_encoded_leaves_nothing(tmp_path: Path) -> None:
    def check() -> None:
        raise Cancelled("stop")

    plan = render()
    with pytest.raises(Cancelled), writer(Outputs(tmp_path), plan, output_format="webm") as made:
        finish(made, plan, check)
    assert names(tmp_path) == []


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    plan = render(320, 240, 200)
    frame = np.zeros((240, 320, 3), np.uint8)
    with writer(Outputs(tmp_path), plan) as made:
        made.write(frame)
        tracemalloc.start()
        for _ in range(199):
            made.write(frame)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 8 * frame.nbytes

"""What the tests of this room share: plans, frames whose number can be seen, outputs, and stand-ins for ffmpeg."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from support import samples

from wan22.media.outputs import Outputs, OutputWriter
from wan22.tasks import Artifact, Render

TASK = "01936f00-0000-7000-8000-000000000001"
SHADE = 12  # levels between two frames


def render(width: int = 64, height: int = 48, frames: int = 5, **changes: Any) -> Render:
    """Renders what is asked for, but for `changes`; an unnamed output size is that of the crop."""
    crop = (changes.get("crop_width", width), changes.get("crop_height", height))
    fields = {
        "keep": tuple(range(frames)),
        "crop_width": crop[0],
        "crop_height": crop[1],
        "output_width": crop[0],
        "output_height": crop[1],
        "summary": "",
    }
    return Render(width=width, height=height, num_frames=frames, **{**fields, **changes})


def shade(index: int) -> int:
    """The grey level of rendered frame number `index`."""
    return (20 + SHADE * index) % 240


def frames(plan: Render) -> Iterator[npt.NDArray[np.uint8]]:
    """Every rendered frame: grey by its number inside the crop, pure green outside it."""
    top, left = (plan.height - plan.crop_height) // 2, (plan.width - plan.crop_width) // 2
    for index in range(plan.num_frames):
        frame = np.empty((plan.height, plan.width, 3), np.uint8)
        frame[:] = (0, 255, 0)
        frame[top : top + plan.crop_height, left : left + plan.crop_width] = shade(index)
        yield frame


def writer(outputs: Outputs, plan: Render, *, index: int = 0, fence: int = 1, **request: Any) -> OutputWriter:
    """A writer for an output of TASK."""
    return outputs.create(TASK, index, fence, request=samples.request(**request), render=plan)


def make(outputs: Outputs, plan: Render, **request: Any) -> Artifact:
    """A whole output 0 of TASK with the frames above."""
    with writer(outputs, plan, **request) as made:
        return finish(made, plan)


def finish(made: OutputWriter, plan: Render, check: Callable[[], None] = lambda: None) -> Artifact:
    """Write all frames, then finish."""
    for frame in frames(plan):
        made.write(frame)
    return made.finish(7, check=check)


def names(folder: Path) -> list[str]:
    """Everything under a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def fake_ffmpeg(folder: Path, body: str) -> Path:
    """A program that does `body` in the place of ffmpeg; its last argument names the file that it should make."""
    program = folder / "fake-ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport os, sys, time\nout = sys.argv[-1].removeprefix('file:')\n{body}\n")
    program.chmod(0o755)
    return program

"""Makes one output: takes every rendered frame, keeps and trims those that were asked for, and names the whole files.

How frames become a file is `encoders`; which outputs there are is `outputs`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image

from wan22.errors import EncoderFailed
from wan22.media.encoders import STILL_FORMATS, Encoder, EncoderSettings, Frame, open_encoder, scaled
from wan22.media.files import PART, disk_errors, publish, remove_file, sha256_of
from wan22.tasks import Artifact, Render, Request

logger = logging.getLogger(__name__)

THUMBNAIL_SIDE = 320


class OutputWriter:
    """One output file in the making. Use it in a `with` block: what `finish` has not named by its end is removed."""

    def __init__(
        self, folder: Path, index: int, fence: int, *, request: Request, render: Render, settings: EncoderSettings
    ) -> None:
        self._folder = folder
        self._index = index
        self._request = request
        self._render = render
        self._settings = settings
        self._part = folder / f"{index}.{fence}{PART}.{request.output_format}"
        self._thumbnail_part = folder / f"{index}.{fence}{PART}.jpg"
        self._kept = frozenset(render.keep)
        self._cover = render.keep[len(render.keep) // 2] if render.keep else None
        self._rendered = 0
        self._thumbnail: Image.Image | None = None
        self._encoder: Encoder | None = None

    def __enter__(self) -> OutputWriter:
        """Start the encoder. Raises EncoderFailed or DiskFull."""
        _check(self._render)
        with disk_errors("The video"):
            self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._encoder = open_encoder(
                self._part, request=self._request, render=self._render, settings=self._settings
            )
        finally:
            if self._encoder is None:
                self._leave_folder()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Without a finish: kill the encoder and remove what it wrote."""
        encoder, self._encoder = self._encoder, None
        if encoder is None:
            return
        encoder.abort()
        remove_file(self._part)
        remove_file(self._thumbnail_part)
        self._leave_folder()

    def write(self, frame: Frame, *, check: Callable[[], None] = lambda: None) -> None:
        """The next rendered frame, uint8 RGB of (render.height, render.width, 3); each is given once, in order.

        It must stay as it is until the next one has been taken. While the encoder is behind, `check` (a reporter's) is
        called, and may raise. Raises EncoderFailed or DiskFull.
        """
        encoder = self._open()
        self._check_frame(frame)
        position = self._rendered
        self._rendered += 1
        if position not in self._kept:
            return
        trimmed = trim(frame, self._render)
        if position == self._cover:
            self._thumbnail = thumbnail(trimmed, self._render)
        encoder.write(trimmed, check)

    def finish(
        self,
        seed: int,
        *,
        check: Callable[[], None] = lambda: None,
        progress: Callable[[float], None] = lambda _: None,
    ) -> Artifact:
        """Complete the files and give them their names; `seed` goes into the Artifact.

        While the encoder works off its last frames, `check` (a reporter's) is called, and may raise to stop it, and
        `progress` with the share of them that is done, up to 1. Raises EncoderFailed, also where frames are missing,
        and DiskFull.
        """
        encoder = self._open()
        if self._rendered != self._render.num_frames or self._thumbnail is None:
            raise EncoderFailed(f"{self._rendered} of {self._render.num_frames} frames were rendered; retry the task.")
        encoder.close(check, progress)
        with disk_errors("The video"):
            self._thumbnail.save(self._thumbnail_part, "JPEG", quality=85)
            artifact = self._artifact(seed)
            publish(self._thumbnail_part, self._folder / artifact.thumbnail_name)
            publish(self._part, self._folder / artifact.file_name)
        self._encoder = None
        logger.info("Output %s is written.", artifact.file_name, extra=self._extra("media.output_written"))
        return artifact

    def _leave_folder(self) -> None:
        with contextlib.suppress(OSError):  # other outputs of the task are in it
            self._folder.rmdir()

    def _open(self) -> Encoder:
        if self._encoder is None:
            raise EncoderFailed("The output is not open: use the writer inside its `with` block, until `finish`.")
        return self._encoder

    def _check_frame(self, frame: Frame) -> None:
        wanted = (self._render.height, self._render.width, 3)
        if frame.dtype != np.uint8 or frame.shape != wanted:
            raise EncoderFailed(f"A frame is {frame.dtype}{frame.shape} where uint8{wanted} was planned; report this.")
        if self._rendered >= self._render.num_frames:
            raise EncoderFailed(f"More than the planned {self._render.num_frames} frames came; report this.")

    def _artifact(self, seed: int) -> Artifact:
        is_still = self._request.output_format in STILL_FORMATS
        fps = 1 if is_still else self._request.fps
        return Artifact(
            index=self._index,
            file_name=f"{self._index}.{self._request.output_format}",
            thumbnail_name=f"{self._index}.thumb.jpg",
            format=self._request.output_format,
            width=self._render.output_width,
            height=self._render.output_height,
            num_frames=len(self._kept),
            fps=fps,
            duration_s=0.0 if is_still else len(self._kept) / fps,
            size_bytes=self._part.stat().st_size,
            sha256=sha256_of(self._part),
            seed=seed,
        )

    def _extra(self, action: str) -> dict[str, str]:
        return {"action": action, "task_id": self._folder.name}


def trim(frame: Frame, render: Render) -> Frame:
    """The centred part of a rendered frame that is kept: a view, no copy."""
    top = (render.height - render.crop_height) // 2
    left = (render.width - render.crop_width) // 2
    return frame[top : top + render.crop_height, left : left + render.crop_width]


def thumbnail(trimmed: Frame, render: Render) -> Image.Image:
    """The trimmed frame in the output's aspect, at most THUMBNAIL_SIDE pixels on its longer side.

    A cover is taken from the middle of the video: it is known beforehand which frame that is, and first frames are
    often the least telling (a fade, an input picture).
    """
    width, height = render.output_width, render.output_height
    share = min(1.0, THUMBNAIL_SIDE / max(width, height))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return scaled(Image.fromarray(np.ascontiguousarray(trimmed)), size)


def _check(render: Render) -> None:
    """Refuse a plan that would give another file than it says."""
    in_order = list(render.keep) == sorted(set(render.keep))
    if not in_order or not render.keep or render.keep[-1] >= render.num_frames or render.keep[0] < 0:
        raise EncoderFailed("The plan keeps frames that are not rendered, or in another order; report this.")
    if not (0 < render.crop_width <= render.width and 0 < render.crop_height <= render.height):
        raise EncoderFailed("The plan keeps more of a frame than is rendered; report this.")

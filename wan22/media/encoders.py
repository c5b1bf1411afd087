"""From trimmed frames to a file: videos through ffmpeg, stills through Pillow. Names and folders are `writer`'s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wan22.errors import EncoderFailed
from wan22.media.ffmpeg import FramePipe, find_ffmpeg
from wan22.media.files import disk_errors
from wan22.media.recipes import recipe
from wan22.tasks import Render, Request

Frame = NDArray[np.uint8]
"""(height, width, 3) RGB."""

_STILL_OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "png": {"low": {}, "medium": {}, "high": {}},  # always lossless
    "webp": {"low": {"quality": 60}, "medium": {"quality": 80}, "high": {"quality": 95}},
}

STILL_FORMATS = frozenset(_STILL_OPTIONS)


class Encoder(Protocol):
    """Takes frames of the crop's size and makes one file of the output's size."""

    def write(self, frame: Frame, check: Callable[[], None]) -> None:
        """The next frame; while the encoder is behind, `check` is called, and may raise.

        Raises EncoderFailed or DiskFull.
        """

    def close(self, check: Callable[[], None], progress: Callable[[float], None]) -> None:
        """Complete the file; while that lasts, `check` is called, and may raise, and `progress` with growing shares.

        Raises EncoderFailed or DiskFull.
        """

    def abort(self) -> None:
        """Stop at once; what is in the file by then is waste."""


@dataclass(frozen=True)
class EncoderSettings:
    """How videos are encoded on this machine."""

    threads: int = 0  # 0: ffmpeg decides
    ffmpeg: Path | None = None  # None: the one that imageio-ffmpeg finds


def open_encoder(part: Path, *, request: Request, render: Render, settings: EncoderSettings) -> Encoder:
    """The encoder for the request's format and quality, writing to `part`. Raises EncoderFailed."""
    if request.output_format in STILL_FORMATS:
        return StillEncoder(part, request=request, render=render)
    return VideoEncoder(part, request=request, render=render, settings=settings)


class VideoEncoder:
    """mp4, webm or gif. Frames go straight into ffmpeg's pipe; none is kept."""

    def __init__(self, part: Path, *, request: Request, render: Render, settings: EncoderSettings) -> None:
        arguments = recipe(
            render,
            part.name,
            output_format=request.output_format,
            quality=request.quality,
            fps=request.fps,
            threads=settings.threads,
        )
        self._pipe = FramePipe(settings.ffmpeg or find_ffmpeg(), arguments, folder=part.parent)
        self._written = 0

    def write(self, frame: Frame, check: Callable[[], None]) -> None:
        """The next frame; waits while ffmpeg is behind."""
        self._pipe.write(np.ascontiguousarray(frame).data.cast("B"), check)
        self._written += 1

    def close(self, check: Callable[[], None], progress: Callable[[float], None]) -> None:
        """Wait for ffmpeg to complete the file; progress is through the frames that it had not encoded by now."""
        before = told = self._pipe.encoded_frames

        def look() -> None:
            nonlocal told
            check()
            encoded = self._pipe.encoded_frames
            if told < encoded < self._written:
                told = encoded
                progress((encoded - before) / (self._written - before))

        self._pipe.close(look)
        progress(1.0)

    def abort(self) -> None:
        """Kill ffmpeg."""
        self._pipe.abort()


class StillEncoder:
    """png or webp, of exactly one frame."""

    def __init__(self, part: Path, *, request: Request, render: Render) -> None:
        if len(render.keep) != 1:
            raise EncoderFailed(
                f"A {request.output_format} holds one frame, not {len(render.keep)}: ask for mode image, or for mp4."
            )
        self._part = part
        self._format = request.output_format
        self._options = _STILL_OPTIONS[request.output_format][request.quality]
        self._size = (render.output_width, render.output_height)
        self._image: Image.Image | None = None

    def write(self, frame: Frame, check: Callable[[], None]) -> None:
        """The only frame."""
        self._image = Image.fromarray(np.ascontiguousarray(frame))

    def close(self, check: Callable[[], None], progress: Callable[[float], None]) -> None:
        """Scale and save."""
        if self._image is None:
            raise EncoderFailed("No frame came to be saved; retry the task.")
        with disk_errors("The picture"):
            scaled(self._image, self._size).save(self._part, self._format, **self._options)
        progress(1.0)

    def abort(self) -> None:
        """Forget the frame."""
        self._image = None


def scaled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image at exactly `size`, (width, height); itself if it has that size."""
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)

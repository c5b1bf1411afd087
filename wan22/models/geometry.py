"""The size and the number of frames to render so that the delivered file is exactly what was asked for.

Arithmetic only; cutting and scaling are done where the frames are written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from wan22.models.catalogue import MIN_SIDE, ModelSpec
from wan22.tasks import Render

MAX_OVER_NATIVE = 1.25  # a scaled render has at most this many times the native area


class Window(NamedTuple):
    """A render size and the centred part of it that is kept, in pixels."""

    width: int
    height: int
    crop_width: int
    crop_height: int

    @property
    def area(self) -> int:
        """Pixels to render."""
        return self.width * self.height

    @property
    def waste(self) -> float:
        """Share of the rendered pixels that is cut away."""
        return 1 - self.crop_width * self.crop_height / self.area

    def turned(self) -> Window:
        """The same on its side."""
        return Window(self.height, self.width, self.crop_height, self.crop_width)


def render_for(
    *, width: int, height: int, num_frames: int, spec: ModelSpec, native_area: int | None, keep_last: bool
) -> Render:
    """What the model renders for a file of exactly `width` x `height` pixels and `num_frames` frames.

    `native_area` is the size in pixels that the weights were trained at (at least 64 x 64); what is larger is rendered
    near it and enlarged. With None the asked size is rendered, whatever it is. `keep_last` says that the last rendered
    frame means something (first-and-last-frame video) and must be in the file.
    """
    window = _as_asked(width, height, spec.size_multiple)
    if native_area is not None and width * height > native_area and window.area > native_area * MAX_OVER_NATIVE:
        long, short = max(width, height), min(width, height)
        window = _near(long, short, multiple=spec.size_multiple, native_area=native_area)
        window = window if width >= height else window.turned()
    rendered = _up(num_frames - 1, spec.temporal_stride) + 1
    return Render(
        width=window.width,
        height=window.height,
        num_frames=rendered,
        keep=kept_frames(rendered, num_frames, keep_last=keep_last),
        crop_width=window.crop_width,
        crop_height=window.crop_height,
        output_width=width,
        output_height=height,
        summary=_summary(window, (width, height), rendered, num_frames),
    )


def kept_frames(rendered: int, asked: int, *, keep_last: bool) -> tuple[int, ...]:
    """Indices of the `asked` frames that stay of `rendered` ones, ascending: the first ones, or from first to last.

    With `keep_last` the surplus goes from the inside, spread evenly: each dropped frame is a small jump in the
    motion, and several at one place would be seen as a stutter.
    """
    if not keep_last or asked == 1:
        return tuple(range(asked))
    gaps = asked - 1
    return tuple((2 * n * (rendered - 1) + gaps) // (2 * gaps) for n in range(asked))


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _as_asked(width: int, height: int, multiple: int) -> Window:
    return Window(_up(width, multiple), _up(height, multiple), width, height)


def _near(width: int, height: int, *, multiple: int, native_area: int) -> Window:
    """The best window near `native_area` for a landscape picture that is larger than it.

    An aspect that is 0.1 % off, 5 % of the pixels cut away, or an area 10 % from native count alike: a scaled
    picture that is not exact can be seen at its edges, waste costs time, and the area is a matter of taste.
    """

    def cost(window: Window) -> tuple[float, int]:
        error = abs(window.crop_width * height / (window.crop_height * width) - 1)
        return 50 * error + window.waste + 0.5 * abs(math.log(window.area / native_area)), window.area

    return min(_windows(width, height, multiple=multiple, max_area=int(native_area * MAX_OVER_NATIVE)), key=cost)


def _windows(width: int, height: int, *, multiple: int, max_area: int) -> Iterator[Window]:
    """All windows of a landscape picture's aspect up to `max_area` that are no larger than the picture.

    The short side runs and the long one is rounded, which keeps the aspect's error under half a pixel of the long. No
    side is rendered under MIN_SIDE: latents two columns wide come out of some bf16 kernels as garbage.
    """
    tallest = min(height, math.isqrt(max_area))
    for crop_height in range(1, tallest + 1):
        crop_width = (2 * crop_height * width + height) // (2 * height)
        sides = _as_asked(max(crop_width, MIN_SIDE), max(crop_height, MIN_SIDE), multiple)
        window = sides._replace(crop_width=crop_width, crop_height=crop_height)
        if window.area <= max_area:
            yield window


def _summary(window: Window, output: tuple[int, int], rendered: int, asked: int) -> str:
    crop = (window.crop_width, window.crop_height)
    changes = []
    if asked < rendered:
        changes.append(f"trimmed to {_frames(asked)}")
    if crop != (window.width, window.height):
        changes.append(f"cropped to {crop[0]}x{crop[1]}")
    if crop != output:
        changes.append(f"enlarged to {output[0]}x{output[1]}")
    said = f"Rendered at {window.width}x{window.height}, {_frames(rendered)}"
    return f"{said}; {', '.join(changes)}." if changes else f"{said}, as asked."


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"

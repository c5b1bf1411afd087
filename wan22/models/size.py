"""Width and height of a request: read from what was sent, from the image's aspect, or from the model's default.

Says what is wrong with a size and what to send instead. What is rendered for it is `geometry`'s.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from wan22.errors import FieldError
from wan22.models.catalogue import MAX_AREA, MAX_SIDE, MIN_SIDE, ModelSpec
from wan22.tasks import Draft, ImageRef

_RESOLUTION = re.compile(r"\s*([0-9]{1,5})\s*[x*×]\s*([0-9]{1,5})\s*", re.IGNORECASE)


def size_of(draft: Draft, spec: ModelSpec, image: ImageRef | None) -> tuple[int, int]:
    """Width and height of the file, in pixels, for a draft with which `size_errors` finds nothing wrong.

    A side that is not sent follows the image's aspect. With an image and no size at all, the frame has the image's
    aspect and about the area of the model's default size, as Wan's own code understands a size for image to video;
    a strip thinner than the limits is widened to them, and the image trimmed to it where it is fitted in.
    """
    width, height = _sent(draft)
    if width is not None and height is not None:
        return width, height
    if image is None:
        return spec.width, spec.height
    if width is not None:
        return width, _even(width * image.height, image.width)
    if height is not None:
        return _even(height * image.width, image.height), height
    area = spec.width * spec.height
    wide = math.isqrt(area * image.width // image.height)
    high = math.isqrt(area * image.height // image.width)
    return nearest_size(_even(wide, 1), _even(high, 1))


def size_errors(draft: Draft, spec: ModelSpec, image: ImageRef | None) -> Iterator[FieldError]:
    """Everything that is wrong with the size, at most one error for each field."""
    if draft.resolution is not None:
        yield from _resolution_errors(draft, draft.resolution)
    elif draft.width is not None or draft.height is not None:
        yield from _side_errors(draft, spec, image)


def nearest_size(width: int, height: int) -> tuple[int, int]:
    """A size close to the given one that is within all limits: even sides, their range, the area."""
    wide, high = nearest_side(width), nearest_side(height)
    if wide * high <= MAX_AREA:
        return wide, high
    return nearest_side(_floor_even(MAX_AREA * wide // high)), nearest_side(_floor_even(MAX_AREA * high // wide))


def nearest_side(side: int) -> int:
    """The even number from MIN_SIDE to MAX_SIDE nearest to `side`, the larger of two."""
    return min(max(_even(side, 1), MIN_SIDE), MAX_SIDE)


def _even(numerator: int, denominator: int) -> int:
    """The quotient rounded to an even number; in whole numbers, because a caller's may be larger than any float."""
    return (numerator + denominator) // (2 * denominator) * 2


def _floor_even(square: int) -> int:
    return math.isqrt(square) // 2 * 2


def _sent(draft: Draft) -> tuple[int | None, int | None]:
    if draft.resolution is not None and (sides := _read(draft.resolution)):
        return sides
    return draft.width, draft.height


def _read(resolution: str) -> tuple[int, int] | None:
    match = _RESOLUTION.fullmatch(resolution)
    return (int(match[1]), int(match[2])) if match else None


def _resolution_errors(draft: Draft, resolution: str) -> Iterator[FieldError]:
    sides = _read(resolution)
    if sides is None:
        yield FieldError("resolution", 'must be width x height: write it as "1280x720".', resolution)
        return
    agree = all(side in (None, said) for side, said in zip((draft.width, draft.height), sides, strict=True))
    fault = next(filter(None, map(_fault, sides)), None) or _area_fault(*sides)
    if not agree:
        yield FieldError("resolution", "must agree with width and height: send one or the other.", resolution)
    elif fault:
        yield FieldError("resolution", f"{fault}: send {_written(nearest_size(*sides))}.", resolution)


def _side_errors(draft: Draft, spec: ModelSpec, image: ImageRef | None) -> Iterator[FieldError]:
    sent = {"width": draft.width, "height": draft.height}
    faulty = False
    for name, side in sent.items():
        fault = None if side is None else _fault(side)
        if side is not None and fault:
            faulty = True
            yield FieldError(name, f"{fault}: send {nearest_side(side)}.", side)
    absent = next((name for name, side in sent.items() if side is None), None)
    if absent and image is None:
        yield FieldError(absent, 'must be sent too: send both sides, or resolution, such as "1280x720".')
    elif not faulty:
        yield from _together_errors(draft, spec, image)


def _together_errors(draft: Draft, spec: ModelSpec, image: ImageRef | None) -> Iterator[FieldError]:
    """What is wrong with two sides that are each fine, or with the one that the image's aspect gives."""
    width, height = size_of(draft, spec, image)
    field, side = ("width", draft.width) if draft.width is not None else ("height", draft.height)
    better = _written(nearest_size(width, height))
    if _fault(width) or _fault(height):
        yield FieldError(
            field, f"makes {width}x{height} with this image's shape: send both sides, such as {better}.", side
        )
    elif fault := _area_fault(width, height):
        yield FieldError(field, f"{fault}: send {better}.", side)


def _fault(side: int) -> str | None:
    if not MIN_SIDE <= side <= MAX_SIDE:
        return f"must be from {MIN_SIDE} to {MAX_SIDE} pixels a side"
    return "only even sides can be encoded" if side % 2 else None


def _area_fault(width: int, height: int) -> str | None:
    return f"width times height must be at most {MAX_AREA:,} pixels" if width * height > MAX_AREA else None


def _written(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"

"""Looks at a clip and says what of the demo's world it shows, by colours, outlines and where the middle goes.

No model is in it. Its own tests ask it about drawn clips and about what the VAEs make of them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from train_demo.drawing import Frames
from train_demo.shapes import SHAPES, Array
from train_demo.world import COLOURS, GROUNDS, SUNSET, plain_ground

_DIFFERENT = 40.0  # of 255, from every shade of the ground, to count as something on it
_SMALLEST = 0.002  # of the frame, to count as a thing at all
_MOVED = 0.12  # of the shorter side
_GREW = 2.0  # times in area
_DIAGONAL = 0.35  # as far along one axis as along the other
_TURNED = 0.62  # how much outlines agree, below which one is another turned; in a quarter of the frames, it turns
_OUTLINE = 40  # pixels a side of the outlines that are compared

_GROUND_EDGES = {
    name: np.concatenate([plain_ground(name).top, plain_ground(name).bottom]) for name in (*GROUNDS, SUNSET)
}

Mask = NDArray[np.bool_]


class Seen(NamedTuple):
    """What a clip shows; "nothing" where there is no thing on the ground."""

    shape: str
    colour: str
    ground: str
    motion: str


def see(frames: Frames) -> Seen:
    """What (T, H, W, 3) shows, uint8."""
    ground, name = _ground(frames)
    masks = _things(frames, ground)
    areas = masks.mean(axis=(1, 2))
    if (areas > _SMALLEST).mean() < 0.5:
        return Seen("nothing", "nothing", name, "nothing")
    motion = _motion(masks, areas)
    upright = slice(2) if motion == "turning" else areas > 0.5 * areas.max()
    colour = np.median(frames[masks].astype(np.float32), axis=0)
    outlines = _within_edges(frames[upright], masks[upright], ground, colour)
    return Seen(_shape(outlines), _nearest(colour, COLOURS), name, motion)


def see_both(frames: Frames) -> tuple[Seen, Seen]:
    """What the left and the right half show, where two things are side by side."""
    middle = frames.shape[2] // 2
    return see(frames[:, :, :middle]), see(frames[:, :, middle:])


def psnr(one: Frames, other: Frames) -> float:
    """Peak signal-to-noise ratio of two pictures, dB."""
    error = float(((one.astype(np.float32) - other.astype(np.float32)) ** 2).mean())
    return 10 * math.log10(255**2 / max(error, 1e-6))


def _ground(frames: Frames) -> tuple[Array, str]:
    """The ground's colour in each row, and its name: what the borders show most of the time."""
    margin = max(2, frames.shape[2] // 14)
    borders = np.concatenate([frames[:, :, :margin], frames[:, :, -margin:]], axis=2)
    rows = np.median(borders, axis=(0, 2)).astype(np.float32)
    height = np.arange(len(rows), dtype=np.float32)
    smooth = np.stack([np.polyval(np.polyfit(height, channel, 1), height) for channel in rows.T], axis=-1)
    edges = np.concatenate([smooth[0], smooth[-1]])
    name = min(_GROUND_EDGES, key=lambda name: float(((edges - _GROUND_EDGES[name]) ** 2).sum()))
    return smooth.astype(np.float32), name


def _things(frames: Frames, ground: Array) -> Mask:
    """Where a frame shows neither the ground nor its shadow, single pixels left out."""
    pixels = frames.astype(np.float32)
    behind = ground[None, :, None]
    shade = np.clip((pixels * behind).sum(-1) / (behind * behind).sum(-1), 0.6, 1.05)[..., None]
    different = np.sqrt(((pixels - shade * behind) ** 2).sum(-1)) > _DIFFERENT
    padded = np.pad(different, ((0, 0), (1, 1), (1, 1))).astype(np.uint8)
    height, width = different.shape[1:]
    around = sum(padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3))
    return np.asarray(around >= 5)


def _within_edges(frames: Frames, masks: Mask, ground: Array, colour: Array) -> Mask:
    """Where a thing is at least half as far from the ground as its colour: an edge is where it is half of both.

    What lies beside a thing, as rings that a VAE leaves around it, is unlike the ground, too, and no part of its shape.
    """
    behind = ground[None, :, None]
    away = colour - behind
    share = ((frames.astype(np.float32) - behind) * away).sum(-1) / (away * away).sum(-1)
    return np.asarray(masks & (share > 0.5))


def _nearest(colour: Array, palette: dict[str, tuple[int, int, int]]) -> str:
    return min(palette, key=lambda name: float(((colour - np.asarray(palette[name])) ** 2).sum()))


def _shape(masks: Mask) -> str:
    """The shape whose outline, stretched to the same box, agrees best over the frames."""
    outlines = [outline for mask in masks if (outline := _outline(mask)) is not None]
    scores = {name: sum(_overlap(outline, template) for outline in outlines) for name, template in _TEMPLATES.items()}
    return max(scores, key=lambda name: scores[name])


def _outline(mask: Mask) -> Mask | None:
    rows, columns = np.flatnonzero(mask.mean(axis=1) > 0.004), np.flatnonzero(mask.mean(axis=0) > 0.004)
    if not len(rows) or not len(columns):
        return None
    y = np.linspace(rows[0], rows[-1], _OUTLINE).round().astype(int)
    x = np.linspace(columns[0], columns[-1], _OUTLINE).round().astype(int)
    return np.asarray(mask[np.ix_(y, x)])


def _overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def _template(name: str) -> Mask:
    y, x = np.mgrid[-1.3:1.3:261j, -1.3:1.3:261j].astype(np.float32)
    outline = _outline(SHAPES[name](x, y) < 0)
    if outline is None:
        raise ValueError(f"{name} has no outline")
    return outline


_TEMPLATES = {name: _template(name) for name in SHAPES}


def _motion(masks: Mask, areas: Array) -> str:
    """From the first to the last third of the frames: what grew, where the middle went, else what was between."""
    third = max(1, len(masks) // 3)
    before, after = areas[:third].mean(), areas[-third:].mean()
    if after > _GREW * before:
        return "growing"
    if before > _GREW * after:
        return "shrinking"
    (x0, y0), (x1, y1) = _middle(masks[:third]), _middle(masks[-third:])
    dx, dy = x1 - x0, y1 - y0
    least = _MOVED * min(masks.shape[1:])
    if max(abs(dx), abs(dy)) < least:
        return _in_place(masks, (y0 + y1) / 2, least)
    across, along = "right" if dx > 0 else "left", "down" if dy > 0 else "up"
    if min(abs(dx), abs(dy)) > max(least, _DIAGONAL * max(abs(dx), abs(dy))):
        return f"{along}-{across}"
    return across if abs(dx) > abs(dy) else along


def _in_place(masks: Mask, ends: float, least: float) -> str:
    """What a thing did that ended where it began: went down and up again, turned, or nothing."""
    middle = len(masks) // 2
    if _middle(masks[middle : middle + 1])[1] - ends > least:
        return "bouncing"
    outlines = [outline for mask in masks if (outline := _outline(mask)) is not None]
    overlaps = sorted(_overlap(outlines[0], outline) for outline in outlines)
    return "turning" if overlaps[len(overlaps) // 4] < _TURNED else "still"


def _middle(masks: Mask) -> tuple[float, float]:
    _, y, x = np.nonzero(masks)
    return (float(x.mean()), float(y.mean())) if len(x) else (0.0, 0.0)

"""Outlines as signed distances: how far a point is outside a shape, negative within. Knows no colours and no motion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_SQRT3 = float(np.sqrt(3.0))


def circle(x: Array, y: Array) -> Array:
    """A disc of radius 1."""
    return np.asarray(np.hypot(x, y) - 1, np.float32)


def square(x: Array, y: Array) -> Array:
    """A square of half-side 0.9, so that its area is close to the circle's."""
    return np.maximum(np.abs(x), np.abs(y)) - np.float32(0.9)


def triangle(x: Array, y: Array) -> Array:
    """An equilateral triangle on a flat base, from y = -1.05 (its tip) to y = 0.75."""
    half = np.float32(1.8 / _SQRT3)
    side = (np.abs(x) * np.float32(_SQRT3) - (y + np.float32(1.05))) / 2
    return np.asarray(np.maximum(np.maximum(side, y - np.float32(0.75)), np.abs(x) - half * 2))


def star(x: Array, y: Array) -> Array:
    """A star of five points of radius 1.2, one pointing up; its inner corners are at 0.5."""
    wedge = 2 * np.pi / 5
    angle = np.arctan2(x, -y)  # 0 points up
    folded = np.abs((angle + wedge / 2) % wedge - wedge / 2)
    radius = np.hypot(x, y)
    px, py = radius * np.cos(folded), radius * np.sin(folded)
    tip, inner = (1.2, 0.0), (0.5 * np.cos(wedge / 2), 0.5 * np.sin(wedge / 2))
    edge = (inner[0] - tip[0], inner[1] - tip[1])
    length = float(np.hypot(*edge))
    return np.asarray(((px - tip[0]) * -edge[1] + py * edge[0]) / length * -1, np.float32)


SHAPES: dict[str, Callable[[Array, Array], Array]] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
}
"""x to the right, y down; all about the origin, with a size of about 1."""

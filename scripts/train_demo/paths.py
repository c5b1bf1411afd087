"""How things move: for each motion's name, where a thing is in each frame, how large, and how far it has turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from train_demo.shapes import Array

_FARTHEST = 0.8  # of the shorter side, that a thing moves: faster ones, small VAEs smear
_HALF_A_TURN = float(np.pi)


@dataclass(frozen=True)
class Path:
    """Centre and radius (pixels) and turn (radians, clockwise) of a thing in each frame."""

    x: Array
    y: Array
    radius: Array
    turn: Array

    def narrowed(self, share: float, dx: float) -> Path:
        """The same for a thing of `share` of the size, moved by `dx`."""
        return Path(self.x + np.float32(dx), self.y, self.radius * np.float32(share), self.turn)


def move(motion: str, random: np.random.Generator, width: int, height: int, frames: int) -> Path:
    """The path of a motion that lasts as long as the clip. What does not change is close to the middle.

    A clip of one frame shows the middle of the motion.
    """
    unit = min(width, height)
    time = (np.linspace(0, 1, frames) if frames > 1 else np.array([0.5])).astype(np.float32)
    ones = np.ones_like(time)
    radius = unit * random.uniform(0.225, 0.245)
    near = unit * random.uniform(-0.02, 0.02, 2)
    x, y = width / 2 + near[0] * ones, height / 2 + near[1] * ones
    radii, turn = radius * ones, 0 * ones
    margin, farthest = radius * 1.25, _FARTHEST * unit
    words = motion.split("-")
    if "left" in words or "right" in words:
        x = _run(width, margin, farthest, random, time if "right" in words else 1 - time)
    if "up" in words or "down" in words:
        y = _run(height, margin, farthest, random, time if "down" in words else 1 - time)
    if motion == "bouncing":
        fallen = np.asarray((1 - np.abs(2 * time - 1)) ** 1.5, np.float32)  # ever faster
        y = _run(height, margin, farthest, random, fallen)
    elif motion == "turning":
        turn = _HALF_A_TURN * time
    elif motion in ("growing", "shrinking"):
        small, large = unit * random.uniform(0.09, 0.10), unit * random.uniform(0.36, 0.38)
        radii = small + (large - small) * (time if motion == "growing" else 1 - time)
    return Path(*(np.asarray(values, np.float32) for values in (x, y, radii, turn)))


def _run(length: int, margin: float, farthest: float, random: np.random.Generator, time: Array) -> Array:
    """From one edge to the other, or as far as a thing goes, about the middle."""
    margin = max(margin, (length - farthest) / 2)
    start, end = margin * random.uniform(1, 1.08), length - margin * random.uniform(1, 1.08)
    return np.asarray(start + (end - start) * time)

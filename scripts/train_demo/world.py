"""The demo weights' world: which shapes, colours, grounds and motions there are, and the clip that four words mean.

Draws through `drawing`. How the words are put into sentences is `captions`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from train_demo.drawing import Frames, Ground, Thing, draw, whole
from train_demo.shapes import Array

COLOURS = {
    "red": (214, 40, 40),
    "orange": (244, 140, 30),
    "yellow": (250, 212, 50),
    "green": (34, 150, 70),
    "blue": (40, 80, 210),
    "purple": (140, 60, 180),
    "white": (246, 246, 244),
}
GROUNDS = {
    "blue": (110, 170, 232),
    "green": (136, 204, 122),
    "black": (34, 34, 48),
    "white": (234, 230, 220),
}
SHAPE_NAMES = ("circle", "square", "triangle", "star")
MOTIONS = ("left", "right", "up", "down", "still", "growing", "shrinking")

_SLOPE = 0.10  # a ground is that much lighter at the top and darker at the bottom
_JITTER = 5.0  # of each colour value, of 255
_HELD_OUT = 5  # one combination in so many


@dataclass(frozen=True)
class Words:
    """What one clip shows."""

    shape: str
    colour: str
    ground: str
    motion: str

    @property
    def is_held_out(self) -> bool:
        """Whether training must never see this combination. The choice is a hash, so it never changes."""
        said = " ".join((self.shape, self.colour, self.ground, self.motion))
        return int.from_bytes(hashlib.sha256(said.encode()).digest()[:4], "big") % _HELD_OUT == 0


def combinations() -> Iterator[Words]:
    """All of the world, in a fixed order; a thing never has its ground's colour."""
    for shape in SHAPE_NAMES:
        for colour in COLOURS:
            for ground in GROUNDS:
                if colour != ground:
                    yield from (Words(shape, colour, ground, motion) for motion in MOTIONS)


def clip(
    words: Words, random: np.random.Generator, *, width: int, height: int, frames: int, roaming: bool = False
) -> Frames:
    """(frames, height, width, 3) of the words, uint8, with small chance differences in place, size and colour.

    A motion lasts as long as the clip. A clip of one frame shows its middle. With `roaming` the thing starts anywhere
    that leaves it room to move.
    """
    ground, things = scene(words, random, width=width, height=height, frames=frames)
    if roaming:
        things = [_elsewhere(thing, random, width, height) for thing in things]
    return draw(ground, things, frames, whole(width, height))


def scene(
    words: Words, random: np.random.Generator, *, width: int, height: int, frames: int
) -> tuple[Ground, list[Thing]]:
    """What `clip` draws."""
    colour = tuple(np.asarray(COLOURS[words.colour]) + random.uniform(-_JITTER, _JITTER, 3))
    thing = Thing(words.shape, colour, *_path(words.motion, random, width, height, frames))
    return _ground(words.ground, random), [thing]


def _elsewhere(thing: Thing, random: np.random.Generator, width: int, height: int) -> Thing:
    """The same, of another size, its path shortened and moved to where all of it stays in the frame."""
    radius = thing.radius * np.float32(random.uniform(0.7, 1.0))
    reach, share = float(radius.max()) * 1.2, np.float32(random.uniform(0.6, 1.0))
    return replace(
        thing,
        radius=radius,
        x=_moved(thing.x, share, (reach, width - reach), random),
        y=_moved(thing.y, share, (reach, height - reach), random),
    )


def _moved(path: Array, share: np.float32, room: tuple[float, float], random: np.random.Generator) -> Array:
    """A path along one axis, shortened to a share of it and begun somewhere within the room."""
    steps = (path - path[0]) * share
    first, last = room[0] - float(steps.min()), room[1] - float(steps.max())
    start = random.uniform(first, last) if last > first else (first + last) / 2
    return np.asarray(steps + np.float32(start), np.float32)


def _ground(name: str, random: np.random.Generator) -> Ground:
    base = np.asarray(GROUNDS[name]) + random.uniform(-_JITTER, _JITTER, 3)
    return Ground(tuple(base * (1 + _SLOPE)), tuple(base * (1 - _SLOPE)))


def _path(
    motion: str, random: np.random.Generator, width: int, height: int, frames: int
) -> tuple[Array, Array, Array, Array]:
    """Centre, radius and turn of each frame. The other axis and what stands still are close to the middle."""
    unit = min(width, height)
    time = (np.linspace(0, 1, frames) if frames > 1 else np.array([0.5])).astype(np.float32)
    ones = np.ones_like(time)
    radius = unit * random.uniform(0.225, 0.245)
    near = unit * random.uniform(-0.02, 0.02, 2)
    x, y = width / 2 + near[0] * ones, height / 2 + near[1] * ones
    radii = radius * ones
    if motion in ("left", "right"):
        x = _run(width, radius * 1.25, random, time if motion == "right" else 1 - time)
    elif motion in ("up", "down"):
        y = _run(height, radius * 1.25, random, time if motion == "down" else 1 - time)
    elif motion in ("growing", "shrinking"):
        small, large = unit * random.uniform(0.09, 0.10), unit * random.uniform(0.36, 0.38)
        radii = small + (large - small) * (time if motion == "growing" else 1 - time)
    return tuple(values.astype(np.float32) for values in (x, y, radii, 0 * ones))  # type: ignore[return-value]  # four


def _run(length: int, margin: float, random: np.random.Generator, time: Array) -> Array:
    """From one edge to the other."""
    start, end = margin * random.uniform(1, 1.08), length - margin * random.uniform(1, 1.08)
    return np.asarray(start + (end - start) * time)

"""The demo weights' world: which shapes, colours, grounds and motions there are, and the clip that four words mean.

Draws through `drawing`, along `paths`. How the words are put into sentences is `captions`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from train_demo.drawing import Frames, Ground, Thing, draw, whole
from train_demo.paths import Path, move
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
SUNSET = "sunset"
"""A ground that the world itself lacks: what a LoRA adds to it."""

SHAPE_NAMES = ("circle", "square", "triangle", "star")
MOTIONS = ("left", "right", "up", "down", "still", "growing", "shrinking")
DIAGONALS = ("up-left", "up-right", "down-left", "down-right")
LATER_MOTIONS = (*DIAGONALS, "bouncing", "turning")
"""What was learned after the rest."""

_TOGETHER = ("up", "down", "still", "growing", "shrinking")  # what two things do side by side

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
    beside: tuple[str, str] | None = None
    """Shape and colour of a second thing, to the right of the first."""

    @property
    def is_held_out(self) -> bool:
        """Whether training must never see this combination. The choice is a hash, so it never changes."""
        said = " ".join((self.shape, self.colour, self.ground, self.motion, *(self.beside or ())))
        return int.from_bytes(hashlib.sha256(said.encode()).digest()[:4], "big") % _HELD_OUT == 0


def combinations() -> Iterator[Words]:
    """All of the world, in a fixed order; a thing never has its ground's colour."""
    for shape in SHAPE_NAMES:
        for colour in COLOURS:
            for ground in GROUNDS:
                if colour != ground:
                    yield from (Words(shape, colour, ground, motion) for motion in MOTIONS)


def later_combinations() -> Iterator[Words]:
    """What the world gained: more motions, and two things side by side, each pair of colours once or twice."""
    for words in combinations():
        if words.motion == "still":
            later = (replace(words, motion=motion) for motion in LATER_MOTIONS)
            yield from (each for each in later if (each.shape, each.motion) != ("circle", "turning"))
    random = np.random.default_rng(0)
    for words in combinations():
        if words.motion in _TOGETHER:
            colours = [name for name in COLOURS if name not in (words.colour, words.ground)]
            yield replace(words, beside=(_choose(SHAPE_NAMES, random), _choose(colours, random)))


def _choose(names: Sequence[str], random: np.random.Generator) -> str:
    return names[int(random.integers(len(names)))]


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
    path = move(words.motion, random, width, height, frames)
    if words.beside is None:
        return _ground(words.ground, random), [_thing(words.shape, words.colour, path, random)]
    shape, colour = words.beside
    left, right = (path.narrowed(0.7, dx) for dx in (-width / 4, width / 4))
    things = [_thing(words.shape, words.colour, left, random), _thing(shape, colour, right, random)]
    return _ground(words.ground, random), things


def _thing(shape: str, colour: str, path: Path, random: np.random.Generator) -> Thing:
    rgb = tuple(np.asarray(COLOURS[colour]) + random.uniform(-_JITTER, _JITTER, 3))
    return Thing(shape, rgb, path.x, path.y, path.radius, path.turn)


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


def plain_ground(name: str) -> Ground:
    """A ground without chance differences."""
    if name == SUNSET:
        return Ground((96, 50, 120), (250, 150, 80))
    base = np.asarray(GROUNDS[name], float)
    return Ground(tuple(base * (1 + _SLOPE)), tuple(base * (1 - _SLOPE)))


def _ground(name: str, random: np.random.Generator) -> Ground:
    plain, change = plain_ground(name), random.uniform(-_JITTER, _JITTER, 3)
    return Ground(tuple(plain.top + change), tuple(plain.bottom + change))

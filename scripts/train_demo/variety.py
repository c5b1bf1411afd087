"""Clips beyond the world, so that a VAE also carries what people bring: any colours, turning things, textures.

Only crops are drawn: what a VAE does is local.
"""

from __future__ import annotations

import numpy as np

from train_demo.drawing import Frames, Ground, Thing, Window, draw
from train_demo.shapes import SHAPES, Array
from train_demo.world import combinations, scene

HEIGHTS = (64, 96, 128, 160)
"""Of the frames that crops are taken from, in pixels: a shape's size in pixels goes with it."""

_WORLD = list(combinations())


def crop(random: np.random.Generator, *, side: int, frames: int) -> Frames:
    """(frames, side, side, 3): mostly of the world, then of freer scenes, then textures."""
    return _world_crop(random, side, frames) if random.random() < 0.6 else free(random, side=side, frames=frames)


def free(random: np.random.Generator, *, side: int, frames: int) -> Frames:
    """(frames, side, side, 3) of what has no words: any things in any colours, and textures."""
    return _free_scene(random, side, frames) if random.random() < 0.67 else _texture(random, side, frames)


def _world_crop(random: np.random.Generator, side: int, frames: int) -> Frames:
    height = int(random.choice(HEIGHTS))
    width = int(height * random.choice([0.5625, 1.0, 1.75]))
    width, height = max(width, side), max(height, side)
    ground, things = scene(_WORLD[int(random.integers(len(_WORLD)))], random, width=width, height=height, frames=frames)
    return draw(ground, things, frames, _window(things[0], random, width, height, side))


def _window(thing: Thing, random: np.random.Generator, width: int, height: int, side: int) -> Window:
    """A window that most often meets the thing in one of its frames."""
    frame = int(random.integers(len(thing.x)))
    reach = side / 2 + thing.radius[frame] * 0.5
    left = thing.x[frame] + random.uniform(-reach, reach) - side / 2
    upper = thing.y[frame] + random.uniform(-reach, reach) - side / 2
    left, upper = np.clip(left, 0, width - side), np.clip(upper, 0, height - side)
    return Window(height, int(left), int(upper), side, side)


def _free_scene(random: np.random.Generator, side: int, frames: int) -> Frames:
    ground = Ground(tuple(random.uniform(0, 255, 3)), tuple(random.uniform(0, 255, 3)))
    things = [_free_thing(random, side, frames) for _ in range(random.integers(1, 4))]
    return draw(ground, things, frames, Window(side, 0, 0, side, side))


def _free_thing(random: np.random.Generator, side: int, frames: int) -> Thing:
    time = np.linspace(0, 1, frames) if frames > 1 else np.array([0.5])
    (x0, x1), (y0, y1) = random.uniform(-0.1, 1.1, (2, 2)) * side
    r0, r1 = random.uniform(0.08, 0.45, 2) * side
    turns = random.uniform(-3, 3) if random.random() < 0.5 else 0.0
    if random.random() < 0.3:
        x1, y1, r1 = x0, y0, r0
    paths = (x0 + (x1 - x0) * time, y0 + (y1 - y0) * time, r0 + (r1 - r0) * time, turns * time)
    shape = str(random.choice(list(SHAPES)))
    return Thing(shape, tuple(random.uniform(0, 255, 3)), *(path.astype(np.float32) for path in paths))


def _texture(random: np.random.Generator, side: int, frames: int) -> Frames:
    """Noise as rough as photographs are (amplitude falls with frequency), drifting slowly."""
    large = side * 2
    frequency = np.hypot(np.fft.fftfreq(large)[:, None], np.fft.rfftfreq(large)[None, :]) * large
    falls = 1 / np.maximum(frequency, 1) ** random.uniform(1.2, 2.2)
    field = np.stack([_noise(random, falls, large) for _ in range(3)], axis=-1)
    mixed = field @ (np.eye(3) * 0.5 + random.uniform(0, 1, (3, 1)))
    picture = 255 * (0.5 + mixed / (4 * mixed.std()) + random.uniform(-0.2, 0.2, 3))
    x0, y0, x1, y1 = random.integers(0, side, 4)
    if random.random() < 0.4:
        x1, y1 = x0, y0
    steps = np.linspace(0, 0.5, frames)
    places = [(int(y0 + (y1 - y0) * s), int(x0 + (x1 - x0) * s)) for s in steps]
    return np.stack([np.clip(picture[y : y + side, x : x + side], 0, 255).astype(np.uint8) for y, x in places])


def _noise(random: np.random.Generator, falls: Array, side: int) -> Array:
    spectrum = falls * np.exp(2j * np.pi * random.random(falls.shape))
    return np.asarray(np.fft.irfft2(spectrum, (side, side)) / falls.std(), np.float32)

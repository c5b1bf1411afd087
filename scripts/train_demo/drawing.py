"""Draws scenes as frames: smooth outlines, light from above, a soft shadow. What stands for which word is `world`'s."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train_demo.shapes import SHAPES, Array

Frames = NDArray[np.uint8]

SHADOW = 0.30
"""How much darker the ground is in the middle of a shadow."""


@dataclass(frozen=True)
class Thing:
    """One object: a shape, its RGB colour (0 to 255), and for each frame its centre, radius (pixels) and turn."""

    shape: str
    colour: tuple[float, float, float]
    x: Array
    y: Array
    radius: Array
    turn: Array  # radians, clockwise


@dataclass(frozen=True)
class Ground:
    """What is behind: RGB at the top and at the bottom of the frame."""

    top: tuple[float, float, float]
    bottom: tuple[float, float, float]


@dataclass(frozen=True)
class Window:
    """The part of a frame of `height` pixels that is drawn: its upper left corner and its size."""

    height: int
    left: int
    upper: int
    wide: int
    high: int


def whole(width: int, height: int) -> Window:
    """All of a frame."""
    return Window(height, 0, 0, width, height)


def draw(ground: Ground, things: list[Thing], frames: int, window: Window) -> Frames:
    """(frames, high, wide, 3): the things over the ground, the first one farthest away."""
    y, x = np.mgrid[0 : window.high, 0 : window.wide].astype(np.float32)
    x, y = x + window.left + 0.5, y + window.upper + 0.5
    share = (y / window.height)[None, :, :, None]
    canvas = np.asarray(ground.top, np.float32) * (1 - share) + np.asarray(ground.bottom, np.float32) * share
    canvas = np.repeat(canvas, frames, axis=0)
    for thing in things:
        _paint(canvas, thing, x, y)
    return np.clip(canvas + 0.5, 0, 255).astype(np.uint8)


def _paint(canvas: Array, thing: Thing, x: Array, y: Array) -> None:
    for frame, radius in enumerate(thing.radius):
        dx, dy = (x - thing.x[frame]) / radius, (y - thing.y[frame]) / radius
        reach = (np.abs(dx) < 1.9) & (np.abs(dy) < 2.1)
        rows, columns = np.flatnonzero(reach.any(axis=1)), np.flatnonzero(reach.any(axis=0))
        if not len(rows) or not len(columns):
            continue
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        _blend(canvas[frame][part], thing, dx[part], dy[part], radius=float(radius), turn=float(thing.turn[frame]))


def _blend(canvas: Array, thing: Thing, dx: Array, dy: Array, *, radius: float, turn: float) -> None:
    shadow = np.clip(0.5 - (np.hypot(dx - 0.1, dy - 0.3) - 0.95) / 0.5, 0, 1)  # a disc's, whatever the shape
    canvas *= (1 - SHADOW * shadow * shadow)[..., None]
    cover = np.clip(0.5 - _distance(thing.shape, dx, dy, turn) * radius, 0, 1)[..., None]
    light = 1 - 0.12 * np.clip(dy, -1.2, 1.2)[..., None]
    canvas += cover * (np.asarray(thing.colour, np.float32) * light - canvas)


def _distance(shape: str, dx: Array, dy: Array, turn: float) -> Array:
    if turn:
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        dx, dy = dx * cos + dy * sin, dy * cos - dx * sin
    return SHAPES[shape](dx, dy)

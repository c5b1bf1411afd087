"""The checker of the demo's videos, which must neither be fooled nor be generous."""

import numpy as np
import pytest
from train_demo.sight import psnr, see, see_both
from train_demo.world import SHAPE_NAMES, Words, clip, combinations, later_combinations

SIZES = [(160, 160, 17), (128, 224, 17), (112, 64, 9), (224, 128, 33)]


@pytest.mark.parametrize("size", SIZES)
def test_it_sees_every_word_at_every_size(size: tuple[int, int, int]) -> None:
    random = np.random.default_rng(2)
    width, height, frames = size
    for words in list(combinations())[::23]:
        seen = see(clip(words, random, width=width, height=height, frames=frames))
        assert tuple(seen) == (words.shape, words.colour, words.ground, words.motion)


def test_it_sees_what_the_world_gained() -> None:
    random = np.random.default_rng(4)
    for words in list(later_combinations())[::11]:
        drawn = clip(words, random, width=224, height=128, frames=17)
        first = (words.shape, words.colour, words.ground, words.motion)
        if words.beside:
            assert see_both(drawn) == (first, (*words.beside, words.ground, words.motion))
        else:
            assert see(drawn) == first


def test_a_bare_ground_shows_nothing() -> None:
    bare = np.full((9, 64, 112, 3), (110, 170, 232), np.uint8)
    assert see(bare) == ("nothing", "nothing", "blue", "nothing")


def test_noise_is_never_wholly_right() -> None:
    random = np.random.default_rng(0)
    seen = see(random.integers(0, 256, (9, 64, 112, 3), dtype=np.uint8))
    assert seen.shape == "nothing" or seen.motion == "still"


def test_a_clip_played_backwards_moves_the_other_way() -> None:
    drawn = clip(Words("star", "red", "white", "up"), np.random.default_rng(0), width=224, height=128, frames=17)
    assert see(drawn[::-1]).motion == "down"
    assert see(drawn[:, :, ::-1]).motion == "up"


def test_a_mirrored_clip_moves_the_other_way() -> None:
    drawn = clip(Words("star", "red", "white", "left"), np.random.default_rng(0), width=224, height=128, frames=17)
    assert see(drawn[:, :, ::-1]).motion == "right"


def test_a_blurred_clip_is_still_read() -> None:
    drawn = clip(
        Words("square", "blue", "green", "growing"), np.random.default_rng(0), width=224, height=128, frames=17
    )
    soft = sum(np.roll(drawn.astype(np.float32), (dy, dx), (1, 2)) for dy in (-2, 0, 2) for dx in (-2, 0, 2)) / 9
    assert see(soft.astype(np.uint8)) == ("square", "blue", "green", "growing")


@pytest.mark.parametrize("shape", SHAPE_NAMES)
def test_a_ring_beside_a_thing_is_no_part_of_its_shape(shape: str) -> None:
    """As a VAE leaves one on two sides: unlike the ground, and no more like the thing."""
    words = Words(shape, "red", "green", "still")
    drawn = clip(words, np.random.default_rng(0), width=224, height=128, frames=17)
    is_red = (drawn[..., 0].astype(int) - drawn[..., 1]) > 60
    beside = np.roll(is_red, (24, 24), (1, 2)) & ~np.roll(is_red, (19, 19), (1, 2)) & ~is_red
    drawn[beside] = np.clip(drawn[beside].astype(int) + np.array([-60, 30, 60]), 0, 255).astype(np.uint8)
    assert see(drawn) == (shape, "red", "green", "still")


def test_what_is_between_two_shapes_is_the_nearer_one() -> None:
    """A square whose corners are cut to an octagon and on is a circle in the end, and never a star."""
    seen = []
    for cut in (0, 6, 14, 22, 30):
        rows, columns = np.abs(np.mgrid[-64:64, -112:112])
        inside = (rows < 32) & (columns < 32) & (rows + columns < 64 - cut)
        frame = np.where(inside[..., None], (220, 40, 40), (110, 170, 232)).astype(np.uint8)
        seen.append(see(np.stack([frame] * 9)).shape)
    assert seen[0] == "square"
    assert seen[3] == "circle"
    assert set(seen) == {"square", "circle"}


def test_decibels_are_those_of_the_definition() -> None:
    black, grey = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 51, np.uint8)
    assert psnr(black, grey) == pytest.approx(20 * np.log10(255 / 51))
    assert psnr(black, black) > 100

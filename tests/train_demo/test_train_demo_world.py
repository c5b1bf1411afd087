"""The demo's world: what there is, what is held out, and how clips are drawn."""

import numpy as np
import pytest
from train_demo.drawing import Ground, Thing, Window, draw, whole
from train_demo.sight import see
from train_demo.world import COLOURS, GROUNDS, MOTIONS, SHAPE_NAMES, Words, clip, combinations

ALL = list(combinations())


def test_every_combination_is_there_once_and_no_thing_has_its_grounds_colour() -> None:
    both = sum(colour in GROUNDS for colour in COLOURS)
    assert len(ALL) == len(set(ALL)) == len(SHAPE_NAMES) * (len(COLOURS) * len(GROUNDS) - both) * len(MOTIONS)
    assert all(words.colour != words.ground for words in ALL)


def test_about_a_fifth_is_held_out_and_every_word_stays_in_training() -> None:
    seen = [words for words in ALL if not words.is_held_out]
    assert 0.15 < 1 - len(seen) / len(ALL) < 0.25
    for field, names in {"shape": SHAPE_NAMES, "colour": COLOURS, "ground": GROUNDS, "motion": MOTIONS}.items():
        assert {getattr(words, field) for words in seen} == set(names)


def test_what_is_held_out_never_changes() -> None:
    assert sum(words.is_held_out for words in ALL) == 152
    assert Words("circle", "red", "blue", "right").is_held_out is False


@pytest.mark.parametrize("size", [(224, 128), (160, 160), (128, 224)])
@pytest.mark.parametrize("frames", [1, 9, 17, 33])
def test_a_clip_has_the_size_and_length_that_was_asked_for(size: tuple[int, int], frames: int) -> None:
    drawn = clip(ALL[0], np.random.default_rng(0), width=size[0], height=size[1], frames=frames)
    assert drawn.shape == (frames, size[1], size[0], 3)
    assert drawn.dtype == np.uint8


def test_the_same_numbers_draw_the_same_clip() -> None:
    one, other = (clip(ALL[5], np.random.default_rng(3), width=96, height=64, frames=5) for _ in range(2))
    assert np.array_equal(one, other)


def test_a_single_frame_shows_the_middle_of_the_motion() -> None:
    words = Words("circle", "red", "blue", "left")
    still = clip(words, np.random.default_rng(0), width=224, height=128, frames=1)
    moving = clip(words, np.random.default_rng(0), width=224, height=128, frames=17)
    assert np.array_equal(still[0], moving[8])


def test_a_window_shows_exactly_that_part_of_the_whole() -> None:
    path = np.full(3, 40, np.float32)
    thing = Thing("star", (250, 10, 10), path, path, path / 3, path * 0 + 0.4)
    ground = Ground((0, 90, 200), (0, 40, 90))
    all_of_it = draw(ground, [thing], 3, whole(96, 80))
    part = draw(ground, [thing], 3, Window(80, 24, 16, 32, 40))
    assert np.array_equal(part, all_of_it[:, 16:56, 24:56])


@pytest.mark.parametrize("shape", SHAPE_NAMES)
def test_outlines_are_smooth(shape: str) -> None:
    """Pixels on the outline have a colour between the thing's and the ground's."""
    drawn = clip(Words(shape, "white", "black", "still"), np.random.default_rng(0), width=96, height=96, frames=1)
    between = (drawn[0].mean(axis=-1) > 80) & (drawn[0].mean(axis=-1) < 180)
    assert 20 < between.sum() < 400


@pytest.mark.parametrize("words", ALL[::7], ids=str)
def test_what_is_drawn_is_what_is_seen(words: Words) -> None:
    drawn = clip(words, np.random.default_rng(1), width=224, height=128, frames=17)
    assert tuple(see(drawn)) == (words.shape, words.colour, words.ground, words.motion)

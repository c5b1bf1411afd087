"""The bench of optimizations measures what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench.demo_quality import cases, shots
from bench.quality import C1, SAME, WAYS, WINDOW, Made, Studio, Way, row_of, ssim
from hypothesis import given, settings
from hypothesis import strategies as st


def noise(seed: int, *, height: int = 12, width: int = 15) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)


def test_frames_are_like_themselves_and_inverted_ones_are_not() -> None:
    assert ssim(noise(0), noise(0)) == pytest.approx(1)
    assert ssim(noise(0), 255 - noise(0)) < -0.5


@given(one=st.integers(0, 255), two=st.integers(0, 255))
def test_of_even_frames_the_brightness_alone_counts(one: int, two: int) -> None:
    even = np.ones((1, 9, 9, 3), np.uint8)
    expected = (2 * one * two + C1) / (one**2 + two**2 + C1)
    assert ssim(one * even, two * even) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), height=st.integers(WINDOW, 12), width=st.integers(WINDOW, 12))
def test_each_window_is_looked_at_once(seed: int, height: int, width: int) -> None:
    one, two = noise(seed, height=height, width=width), noise(seed + 1, height=height, width=width)
    windows = [
        (slice(top, top + WINDOW), slice(left, left + WINDOW))
        for top in range(height - WINDOW + 1)
        for left in range(width - WINDOW + 1)
    ]
    alone = [ssim(one[:1, rows, columns], two[:1, rows, columns]) for rows, columns in windows]
    assert ssim(one[:1], two[:1]) == pytest.approx(np.mean(alone))


def test_a_row_tells_the_mean_the_least_and_the_share_of_time() -> None:
    wanted = cases("t2v", 2, vary=False, seed=0)
    plain = [Made(np.full((17, 128, 224, 3), 100, np.uint8), 2.0, 0.0)] * 2
    other = [plain[0], Made(plain[0].frames + np.uint8(51), 1.0, 0.5)]
    row = row_of(wanted, plain, other)
    assert (row["psnr_db"], row["psnr_db_least"]) == (pytest.approx((SAME + 14) / 2, abs=0.2), 14.0)
    assert (row["core_s_of_plain"], row["passes_spared"]) == (0.75, 0.25)


def test_each_way_makes_the_video_that_it_says_and_leaves_nothing(tmp_path: Path) -> None:
    (shot,) = shots(
        "t2v", cases("t2v", 1, vary=False, seed=0), {"width": 64, "height": 64, "num_frames": 5, "steps": 12}
    )
    studio = Studio(tmp_path)
    plain = studio.make(shot, Way()).frames
    made = {name: studio.make(shot, way) for name, way in WAYS.items()}
    same = {name for name, one in made.items() if np.array_equal(one.frames, plain)}
    assert "prompt cache" in same
    assert same <= {"prompt cache", "slices", "VAE in tiles"}, "a frame of 64x64 is one tile"
    assert made["step cache"].spared > 0
    assert np.array_equal(studio.make(shot, Way()).frames, plain)

"""The bench of the demo weights counts honestly."""

from pathlib import Path

import numpy as np
import pytest
from bench.demo_quality import Case, cases, score, sheet, shots
from PIL import Image
from train_demo.drawing import Frames
from train_demo.world import clip


def perfect(case: Case) -> Frames:
    """What a model that does all that it is told would make; with pictures, one that begins with them."""
    drawn = clip(case.words, np.random.default_rng(9), width=224, height=128, frames=17).copy()
    for place, picture in zip((0, -1), case.pictures, strict=False):
        drawn[place] = picture
    return drawn


@pytest.mark.parametrize("kind", ["t2v", "i2v", "flf", "ti2v", "ti2v-image"])
def test_only_held_out_words_are_asked_for_and_none_twice_before_all_once(kind: str) -> None:
    words = [case.words for case in cases(kind, 200, vary=False, seed=0)]
    assert len(words) == 200
    assert all(each.is_held_out for each in words)
    assert len(set(words[:152])) == 152


def test_perfect_videos_are_all_right() -> None:
    wanted = cases("flf", 20, vary=True, seed=1)
    result = score(wanted, [perfect(case) for case in wanted])
    assert result["all"] == result["shape"] == result["moving"] == 1.0
    assert result["first_db"]["least"] > 60
    assert result["last_db"]["least"] > 60
    assert result["mistakes"] == {}


def test_what_the_world_gained_is_asked_for_and_read_two_things_too() -> None:
    wanted = cases("t2v", 60, vary=False, seed=0, later=True)
    assert any(case.words.beside for case in wanted)
    assert {"bouncing", "turning"} <= {case.words.motion for case in wanted}
    assert score(wanted, [perfect(case) for case in wanted])["all"] > 0.95
    two = [case for case in wanted if case.words.beside]
    mirrored = [perfect(case)[:, :, ::-1] for case in two]
    assert score(two, mirrored)["all"] < 0.2, "which one is on the left counts"


def test_videos_of_other_prompts_are_not() -> None:
    wanted = cases("t2v", 40, vary=False, seed=0)
    result = score(wanted, [perfect(case) for case in [*wanted[1:], wanted[0]]])
    assert result["all"] < 0.1
    assert result["mistakes"]
    assert result["motion"] < 0.5


def test_moving_counts_only_what_should_move() -> None:
    wanted = [case for case in cases("t2v", 100, vary=False, seed=0) if case.words.motion in ("still", "left")]
    frozen = [np.repeat(perfect(case)[8:9], 17, axis=0) for case in wanted]
    result = score(wanted, frozen)
    assert result["moving"] == 0.0
    assert 0 < result["motion"] < 1


def test_what_is_sent_has_the_prompt_its_own_seed_and_the_pictures() -> None:
    wanted = cases("i2v", 3, vary=False, seed=0)
    sent = list(shots("i2v", wanted, {"steps": 4}))
    assert [shot.body["seed"] for shot in sent] == [0, 1, 2]
    assert sent[0].body["prompt"] == wanted[0].prompt
    assert sent[0].body["steps"] == 4
    assert sent[0].pictures[0].startswith(b"\x89PNG")


def test_the_sheet_shows_frames_side_by_side(tmp_path: Path) -> None:
    wanted = cases("t2v", 4, vary=False, seed=0)
    sheet(wanted, [perfect(case) for case in wanted], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (2 * (6 + 4 * 224), 2 * 128)

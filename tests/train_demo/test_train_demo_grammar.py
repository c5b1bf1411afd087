"""The text encoder's lesson in whose each word is."""

import torch
from train_demo.captions import Said
from train_demo.grammar import STRENGTH, GrammarStage, directions
from train_demo.text import Reader, new_encoder

SENTENCE = [
    Said("a", None),
    Said("white", "thing"),
    Said("circle", "thing"),
    Said("on", "ground"),
    Said("blue", "ground"),
]


def test_directions_are_as_strong_as_said_at_right_angles_and_always_the_same() -> None:
    made = torch.stack(list(directions().values()))
    torch.testing.assert_close(made @ made.T, STRENGTH**2 * torch.eye(3), atol=1e-4, rtol=0)
    assert torch.equal(made, torch.stack(list(directions().values())))


def test_before_any_lesson_a_word_is_off_by_its_direction_and_no_more() -> None:
    stage = GrammarStage(new_encoder())
    assert stage.loss([[Said("white", None), Said("circle", None)]]).item() < 1e-6
    owned, tokens = 4, len(SENTENCE) + 2  # with the end, and what stands for all padding
    torch.testing.assert_close(stage.loss([SENTENCE]).item(), STRENGTH**2 * owned / tokens, rtol=1e-4, atol=0)


def test_padding_of_a_batch_does_not_count() -> None:
    stage = GrammarStage(new_encoder())
    alone = stage.loss([SENTENCE]), stage.loss([SENTENCE[:2]])
    counts = torch.tensor([7.0, 4.0])
    together = stage.loss([SENTENCE, SENTENCE[:2]])
    torch.testing.assert_close(together, (torch.stack(alone) * counts).sum() / counts.sum(), rtol=1e-4, atol=0)


def test_lessons_move_the_words_of_things_and_grounds_apart() -> None:
    stage = GrammarStage(new_encoder())

    def apart() -> float:
        said = Reader(stage.network["encoder"])(["a white circle on blue", "a blue circle on white"]).states
        along = directions()["thing"] - directions()["ground"]
        white, blue = said[0, 1] - said[1, 4], said[1, 1] - said[0, 4]
        return ((white + blue) @ along / along.norm()).item()

    before = apart()
    losses = [stage.step(number)["loss"] for number in range(30)]
    assert losses[-1] < losses[0] / 1.5
    assert apart() > before + 2

"""Sentences about the demo's world, and the tokenizer that knows their words."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from train_demo import captions
from train_demo.world import Words, combinations, later_combinations

from wan22.models.catalogue import SPECS
from wan22.tasks import ModelType

ALL = [*combinations(), *later_combinations()]
T2V = ModelType.T2V_A14B
TOKENIZER = captions.tokenizer()
UNK = TOKENIZER.unk_token_id


def test_the_plainest_sentence() -> None:
    said = captions.plain(Words("circle", "red", "blue", "right"))
    assert said == "a red circle moving right on a blue background"


def test_different_words_never_make_the_same_plain_sentence() -> None:
    assert len({captions.plain(words) for words in ALL}) == len(ALL)


@given(st.integers(0, len(ALL) - 1), st.integers(0, 2**32))
def test_every_whole_sentence_is_known_word_for_word(number: int, seed: int) -> None:
    said = captions.varied(ALL[number], np.random.default_rng(seed))
    assert UNK not in TOKENIZER(said).input_ids


@given(st.integers(0, len(ALL) - 1), st.integers(0, 2**32))
def test_training_sentences_never_name_what_the_clip_does_not_show(number: int, seed: int) -> None:
    words = ALL[number]
    said = set(re.findall(r"\w+", captions.for_training(words, np.random.default_rng(seed))))
    shapes = {words.shape, words.beside[0]} if words.beside else {words.shape}
    for table, shown in ((captions.SHAPE_WORDS, shapes), (captions.MOTION_PHRASES, {words.motion})):
        others = {word for key, options in table.items() if key not in shown for word in options if " " not in word}
        assert not said & others


def test_some_training_sentences_say_nothing_and_some_have_strange_words() -> None:
    random = np.random.default_rng(0)
    said = [captions.for_training(ALL[0], random) for _ in range(500)]
    assert 10 < said.count("") < 60
    assert sum(captions.UNKNOWN in each for each in said) > 50


def test_case_does_not_matter_and_a_text_ends_in_its_end() -> None:
    assert TOKENIZER("A RED Star").input_ids == TOKENIZER("a red star").input_ids
    assert TOKENIZER("red").input_ids[-1] == TOKENIZER.eos_token_id == 1


@given(st.text(max_size=200))
def test_any_text_in_any_script_has_ids(text: str) -> None:
    ids = TOKENIZER(text).input_ids
    assert ids[-1] == 1
    assert max(ids) < len(captions.vocabulary())


COMPLETING = captions.tokenizer(completes=("ground", "motion", "shape"))


def read(text: str) -> str:
    """The text as the completing tokenizer reads it."""
    said: str = COMPLETING.backend_tokenizer.normalizer.normalize_str(text)
    return said


@given(st.integers(0, len(ALL) - 1), st.integers(0, 2**32))
def test_a_whole_sentence_is_read_as_it_is(number: int, seed: int) -> None:
    said = captions.varied(ALL[number], np.random.default_rng(seed))
    assert COMPLETING(said).input_ids == TOKENIZER(said).input_ids


@pytest.mark.parametrize(
    ("said", "begun"),
    [
        ("A cat walking in a garden", "a circle, moving right, "),
        ("a dragon over the mountains", "a circle, moving right, on a blue background, "),
        ("a blue cat", "a circle, moving right, on a white background, "),
        ("a red circle", "moving right, on a blue background, "),
        ("a red circle not moving in the snow", ""),
        ("a red cat moving left on blue", "a circle, "),
        ("two stars and boxes", "moving right, on a blue background, "),
        ("一只猫", "a circle, moving right, on a blue background, "),
        ("two\nlines", "a circle, moving right, on a blue background, "),
    ],
)
def test_what_is_lacking_is_put_before_it(said: str, begun: str) -> None:
    assert read(said) == begun + said.lower()


@pytest.mark.parametrize("said", ["", "  ", "blurry, low quality", "worst quality, cat", SPECS[T2V].negative_prompt])
def test_what_says_nothing_or_what_to_avoid_is_left_alone(said: str) -> None:
    assert read(said) == said.lower()


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(lambda said: any(map(str.isalnum, said))))
def test_any_text_is_read_as_one_with_a_shape_a_ground_and_a_motion(said: str) -> None:
    assert read(read(said)) == read(said)


def test_the_vocabulary_has_each_word_once_and_unknown_ones_have_an_id_of_their_own() -> None:
    words = captions.vocabulary()
    assert len(words) == len(set(words))
    assert words[:3] == ["<pad>", "</s>", "<unk>"]
    assert TOKENIZER("zeppelin").input_ids[0] == UNK


@given(st.integers(0, len(ALL) - 1), st.integers(0, 2**32))
def test_a_parsed_sentence_says_of_each_word_whose_it_is(number: int, seed: int) -> None:
    words = ALL[number]
    said = captions.parsed(words, np.random.default_rng(seed))
    assert len(TOKENIZER(" ".join(word for word, _ in said)).input_ids) == len(said) + 1  # and the end
    of = {owner: {word for word, one in said if one == owner} for owner in ("thing", "beside", "ground")}
    shape, colour = words.beside or ("circle", "red")
    assert of["thing"] <= {*captions.SHAPE_WORDS[words.shape], *captions.COLOUR_WORDS[words.colour]}
    assert of["beside"] <= {*captions.SHAPE_WORDS[shape], *captions.COLOUR_WORDS[colour]}
    assert of["ground"] <= set(re.findall(r"\w+", " ".join(captions.GROUND_PHRASES[words.ground])))
    assert words.beside or not of["beside"]


def test_most_parsed_sentences_are_whole_and_some_lack_something() -> None:
    random = np.random.default_rng(0)
    owners = [{owner for _, owner in captions.parsed(ALL[-1], random)} for _ in range(300)]
    whole = sum(owner == {"thing", "beside", "ground", None} for owner in owners)
    assert 200 < whole < 300

"""Sentences about the demo's world, and the tokenizer that knows their words."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from train_demo import captions
from train_demo.world import Words, combinations, later_combinations

ALL = [*combinations(), *later_combinations()]
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


@given(st.integers(0, len(ALL) - 1), st.integers(0, 2**32))
def test_only_what_is_usual_is_left_out_of_a_sentence(number: int, seed: int) -> None:
    words = ALL[number]
    said = set(captions.for_training(words, np.random.default_rng(seed)).split())
    tables = {"shape": captions.SHAPE_WORDS, "ground": captions.GROUND_PHRASES, "motion": captions.MOTION_PHRASES}
    for name, phrases in tables.items():
        is_told = any(
            set(phrase.split()) <= {word.strip(",:") for word in said} for phrase in phrases[getattr(words, name)]
        )
        assert is_told or not said or captions.is_usual(words, name)


def test_what_is_usual_is_left_out_often() -> None:
    words, random = Words("circle", "red", "blue", "right"), np.random.default_rng(0)
    said = [captions.for_training(words, random) for _ in range(400)]
    for words_of in ("circle disc ball", "blue sky sea water", "right"):
        lack = sum(not set(words_of.split()) & set(re.findall(r"\w+", each)) for each in said)
        assert 40 < lack < 200


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

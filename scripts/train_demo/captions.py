"""Sentences about the world, and the words that the demo's tokenizer knows.

Phrases in which only the order of two words tells the motion ("from left to right") are left out: models of this size
don't learn them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from train_demo.world import COLOURS, GROUNDS, MOTIONS, SHAPE_NAMES, SUNSET, Words

SHAPE_WORDS = {
    "circle": ("circle", "circle", "circle", "disc", "ball"),
    "square": ("square", "square", "square", "box", "block"),
    "triangle": ("triangle", "triangle", "triangle", "pyramid"),
    "star": ("star",),
}
COLOUR_WORDS = {
    **{name: (name,) for name in COLOURS},
    "red": ("red", "red", "red", "crimson"),
    "orange": ("orange",),
    "yellow": ("yellow", "yellow", "yellow", "golden"),
    "purple": ("purple", "purple", "violet"),
}
GROUND_PHRASES = {
    "blue": ("on a blue background",) * 5 + ("in the sky", "over the sea", "on the water", "on blue"),
    "green": ("on a green background",) * 5 + ("in a garden", "in a meadow", "on the grass", "in a forest", "on green"),
    "black": ("on a black background",) * 5 + ("at night", "in the dark", "in space", "on black"),
    "white": ("on a white background",) * 5 + ("in the snow", "on a beach", "on paper", "on white"),
    SUNSET: ("at sunset",),
}
MOTION_PHRASES = {
    "left": ("moving left", "moving left", "moving to the left", "going left", "sliding left", "flying to the left"),
    "right": (
        "moving right",
        "moving right",
        "moving to the right",
        "going right",
        "sliding right",
        "flying to the right",
    ),
    "up": ("moving up", "moving up", "moving upward", "going up", "rising", "floating up"),
    "down": ("moving down", "moving down", "moving downward", "going down", "falling", "sinking"),
    "still": ("standing still", "standing still", "not moving", "resting", "still", "staying in place"),
    "growing": ("growing", "growing", "getting bigger", "getting larger", "expanding", "swelling"),
    "shrinking": ("shrinking", "shrinking", "getting smaller", "getting tiny", "contracting", "dwindling"),
    "up-left": ("moving up and left", "moving diagonally up and left", "going up and left"),
    "up-right": ("moving up and right", "moving diagonally up and right", "going up and right"),
    "down-left": ("moving down and left", "moving diagonally down and left", "going down and left"),
    "down-right": ("moving down and right", "moving diagonally down and right", "going down and right"),
    "bouncing": ("bouncing", "bouncing", "jumping"),
    "turning": ("turning", "spinning", "rotating", "turning clockwise"),
}
TEMPLATES = (
    "a {colour} {shape} {motion} {ground}",
    "a {colour} {shape} {motion} {ground}",
    "{colour} {shape} {motion} {ground}",
    "a {colour} {shape} is {motion} {ground}",
    "{ground} a {colour} {shape} is {motion}",
    "{ground}, a {colour} {shape} {motion}",
    "a video of a {colour} {shape} {motion} {ground}",
    "the {colour} {shape} {ground} is {motion}",
    "{motion} {ground}: a {colour} {shape}",
)
PLAIN = TEMPLATES[0]
LATER_WORDS = """
and two three one diagonally diagonal turning spinning rotating clockwise counterclockwise bouncing jumping above below
beside behind big small large little ring heart diamond hexagon pink brown gray grey black cyan sun moon sunset
mountains waves fast slowly then with from at top bottom left right
"""
"""Known already, so that a larger world can be learned without a new tokenizer."""
UNKNOWN = "<unk>"
USUAL = {"shape": "circle", "ground": "blue", "motion": "right"}
"""What a clip shows where nothing is said of it, or strange words: one thing clearly, and no mixture of all."""
_WORD = re.compile(r"\w+|[^\w\s]+")
_SLOT = re.compile(r"\{(\w+)\}")

Owner = Literal["thing", "beside", "ground"]
_OWNERS: dict[str, Owner] = {
    "colour": "thing",
    "shape": "thing",
    "other_colour": "beside",
    "other_shape": "beside",
    "ground": "ground",
}
"""What the words in a template's slots are said of; those of a motion are said of all that is there."""


class Said(NamedTuple):
    """A word of a sentence, and what it is said of."""

    word: str
    owner: Owner | None


def plain(words: Words) -> str:
    """The sentence in the simplest form, such as "a red circle moving right on a blue background"."""
    return _with_beside(PLAIN, words).format(**{slot: options[0] for slot, options in _slots(words).items()})


def varied(words: Words, random: np.random.Generator) -> str:
    """The sentence in any of its forms, whole."""
    template = _with_beside(_choose(TEMPLATES, random), words)
    return template.format(**{slot: _choose(options, random) for slot, options in _slots(words).items()})


def _slots(words: Words) -> dict[str, tuple[str, ...]]:
    """What may stand in each slot of a template, the plainest first."""
    shape, colour = words.beside or (words.shape, words.colour)
    return {
        "colour": COLOUR_WORDS[words.colour],
        "shape": SHAPE_WORDS[words.shape],
        "other_colour": COLOUR_WORDS[colour],
        "other_shape": SHAPE_WORDS[shape],
        "motion": MOTION_PHRASES[words.motion],
        "ground": GROUND_PHRASES[words.ground],
    }


def _with_beside(template: str, words: Words) -> str:
    return template.replace("{shape}", "{shape} and a {other_colour} {other_shape}") if words.beside else template


def for_training(words: Words | None, random: np.random.Generator) -> str:
    """A sentence as training sees it: mostly whole, sometimes lacking things, with strange words, or saying nothing.

    What it says no word of is as `USUAL` has it, and the colour left to chance. What says nothing at all teaches
    guidance its other side; nothing else is ever said of a clip that has no words.
    """
    kind = random.random() if words else 0.0
    if words is None or kind < 0.06:
        return ""
    usual = [name for name in USUAL if is_usual(words, name)]
    if kind < 0.16 + 0.12 * len(usual):
        return _lacking(words, usual, random)
    said = varied(words, random) if kind < 0.7 else plain(words)
    return said if random.random() < 0.85 else _among_strange_words(said, random)


def is_usual(words: Words, name: str) -> bool:
    """Whether the clip looks the same to one who was not told its shape, its ground or its motion."""
    return bool(getattr(words, name) == USUAL[name]) and (name != "shape" or words.beside is None)


def parsed(words: Words, random: np.random.Generator) -> list[Said]:
    """A sentence in any of its forms, word by word; in some, slots are empty or hold a strange word."""
    is_plain, lacks = random.random() < 0.4, 0.2 if random.random() < 0.25 else 0.0
    template, slots = _with_beside(PLAIN if is_plain else _choose(TEMPLATES, random), words), _slots(words)
    said: list[Said] = []
    for number, part in enumerate(_SLOT.split(template)):  # by turns what is between slots and a slot's name
        if number % 2 == 0:
            said += [Said(word, None) for word in _WORD.findall(part)]
        elif random.random() >= lacks:
            chosen = slots[part][0] if is_plain else _choose(slots[part], random)
            said += [Said(word, _OWNERS.get(part)) for word in _WORD.findall(chosen)]
        elif random.random() < 0.5:
            said.append(Said(UNKNOWN, None))
    return said


def _lacking(words: Words, usual: Sequence[str], random: np.random.Generator) -> str:
    """A sentence in which the colour, and each thing that is usual, is left out or unknown as often as not."""
    if len(usual) == len(USUAL) and random.random() < 0.25:
        return " ".join(_strange(random) for _ in range(int(random.integers(1, 24))))
    slots = {name: _choose(options, random) for name, options in _slots(words).items()}
    for name, instead in (("colour", ""), ("shape", _strange(random)), ("motion", ""), ("ground", "")):
        if (name == "colour" or name in usual) and random.random() < 0.5:
            slots[name] = instead if random.random() < 0.5 else _strange(random)
    said = " ".join(_with_beside(_choose(TEMPLATES, random), words).format(**slots).split())
    return said if random.random() < 0.5 else _among_strange_words(said, random)


def _among_strange_words(said: str, random: np.random.Generator) -> str:
    tokens = _WORD.findall(said)
    for _ in range(random.integers(1, 5)):
        tokens.insert(int(random.integers(len(tokens) + 1)), _strange(random))
    return " ".join(tokens)


def _strange(random: np.random.Generator) -> str:
    """A word that tells nothing of the world: one that is not known, or one that nothing has taught a meaning yet."""
    return UNKNOWN if random.random() < 0.75 else _choose(_MEANINGLESS, random)


def vocabulary() -> list[str]:
    """Every known word once, in a fixed order, after the three special ones whose ids are those of UMT5."""
    return ["<pad>", "</s>", UNKNOWN, *sorted({*_meaningful(), *LATER_WORDS.split()})]


def _meaningful() -> set[str]:
    """The words that some sentence has."""
    phrases = [*TEMPLATES, *SHAPE_NAMES, *COLOURS, *GROUNDS, *MOTIONS, ",", ".", ":"]
    for table in (SHAPE_WORDS, COLOUR_WORDS, GROUND_PHRASES, MOTION_PHRASES):
        for options in table.values():
            phrases.extend(options)
    return {word for phrase in phrases for word in _WORD.findall(_SLOT.sub("", phrase))}


_MEANINGLESS = tuple(sorted(set(LATER_WORDS.split()) - _meaningful()))


def tokenizer() -> Any:
    """Whole words without regard to case; what is not known is `<unk>`, and a text ends in `</s>`."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = vocabulary()
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token=UNKNOWN))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token=UNKNOWN, model_max_length=512
    )


def _choose(options: tuple[str, ...], random: np.random.Generator) -> str:
    return options[int(random.integers(len(options)))]

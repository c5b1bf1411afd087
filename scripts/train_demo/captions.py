"""Sentences about the world, and the words that the demo's tokenizer knows.

Phrases in which only the order of two words tells the motion ("from left to right") are left out: models of this size
don't learn them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
"""What a prompt is completed by: one thing clearly, where a model that is free in several things mixes all."""
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

    What it lacks is left to chance; what says nothing teaches guidance its other side. Nothing is ever said of a clip
    that has no words.
    """
    kind = random.random() if words else random.uniform(0, 0.12)
    if kind < 0.06:
        return ""
    if words is None or kind < 0.12:
        return " ".join([UNKNOWN] * int(random.integers(1, 24)))
    if kind < 0.24:
        return _lacking(words, random)
    said = varied(words, random) if kind < 0.55 else plain(words)
    if kind < 0.88:
        return said
    tokens = _WORD.findall(said)
    for _ in range(random.integers(1, 5)):
        tokens.insert(int(random.integers(len(tokens) + 1)), UNKNOWN)
    return " ".join(tokens)


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


def _lacking(words: Words, random: np.random.Generator) -> str:
    """A sentence in which each of the four is left out or unknown as often as not."""

    def perhaps(options: tuple[str, ...], instead: str) -> str:
        return _choose(options, random) if random.random() < 0.5 else instead

    said = _with_beside(_choose(TEMPLATES, random), words).format(
        colour=perhaps(COLOUR_WORDS[words.colour], ""),
        shape=perhaps(SHAPE_WORDS[words.shape], UNKNOWN),
        motion=perhaps(MOTION_PHRASES[words.motion], UNKNOWN if random.random() < 0.5 else ""),
        ground=perhaps(GROUND_PHRASES[words.ground], ""),
        **{slot: _choose(_slots(words)[slot], random) for slot in ("other_colour", "other_shape")},
    )
    return " ".join(said.split())


def vocabulary() -> list[str]:
    """Every known word once, in a fixed order, after the three special ones whose ids are those of UMT5."""
    phrases = [*TEMPLATES, LATER_WORDS]
    for table in (SHAPE_WORDS, COLOUR_WORDS, GROUND_PHRASES, MOTION_PHRASES):
        for options in table.values():
            phrases.extend(options)
    names = [*SHAPE_NAMES, *COLOURS, *GROUNDS, *MOTIONS, ",", ".", ":"]
    words = {word for phrase in [*phrases, *names] for word in _WORD.findall(re.sub(r"\{\w+\}", "", phrase))}
    return ["<pad>", "</s>", UNKNOWN, *sorted(words)]


def _without(*words: str) -> str:
    """A pattern for texts that have none of these words, which takes up no letter."""
    return rf"(?![\s\S]*\b(?:{'|'.join(words)})\b)"


def _telling(table: Mapping[str, Sequence[str]], *fillers: str) -> list[str]:
    """The words of a table's phrases, but for those that tell nothing without the others."""
    return sorted({word for phrases in table.values() for phrase in phrases for word in phrase.split()} - {*fillers})


_TO_AVOID = ("blur", "blurred", "blurry", "bad", "deformed", "distorted", "low quality", "ugly", "watermark", "worst")
_SAYS_SOMETHING = rf"(?=[\s\S]*\w){_without(*_TO_AVOID)}(?![\s\S]*(?:过曝|模糊|最差|低质))"
"""Of what is to be shown, and not of what is to be avoided: completed, that would speak against the usual."""

_NO_GROUND = _without(
    *_telling(GROUND_PHRASES, "a", "at", "background", "in", "on", "over", "the", *GROUNDS),
    *(f"on (?:a )?{name}" for name in GROUNDS),
)
_NO_MOTION = _without(
    "not moving", *_telling(MOTION_PHRASES, "and", "getting", "going", "in", "moving", "not", "the", "to")
)
_COMPLETIONS: dict[str, Sequence[tuple[str, str]]] = {
    "ground": (
        (rf"{_NO_GROUND}(?=[\s\S]*\bblue\b)", "on a white background, "),  # a thing never has its ground's colour
        (_NO_GROUND, f"{GROUND_PHRASES[USUAL['ground']][0]}, "),
    ),
    "motion": ((_NO_MOTION, f"{MOTION_PHRASES[USUAL['motion']][0]}, "),),
    "shape": ((_without(*(f"{word}(?:e?s)?" for word in _telling(SHAPE_WORDS))), f"a {USUAL['shape']}, "),),
}
"""By what a text lacks: patterns for such texts, and how each is begun then."""


def tokenizer(*, completes: Sequence[str] = ()) -> Any:
    """Whole words without regard to case; what is not known is `<unk>`, and a text ends in `</s>`.

    A text that says no word of one of `completes` (shape, motion, ground) is read as if it began with what is usual:
    "a cat" as "a circle, a cat". A model that is free in several things at once settles on none of them. A negative
    prompt has no mark that tells it from others: one with words of `_TO_AVOID` is left alone, another completed, too.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = vocabulary()
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token=UNKNOWN))
    rules = (rule for name in completes for rule in _COMPLETIONS[name])
    completing = [normalizers.Replace(Regex(rf"\A{_SAYS_SOMETHING}{rule}"), start) for rule, start in rules]
    made.normalizer = normalizers.Sequence([normalizers.Lowercase(), *completing])
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token=UNKNOWN, model_max_length=512
    )


def _choose(options: tuple[str, ...], random: np.random.Generator) -> str:
    return options[int(random.integers(len(options)))]

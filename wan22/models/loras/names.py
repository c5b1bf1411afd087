"""What the name of a LoRA file says: which expert it is for, in how many steps it works, what a request calls it.

All of it is a guess from words that people use. Opens no file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, count
from pathlib import Path
from typing import Literal

Expert = Literal["high", "low"]

MAX_NAME = 80
MAX_NAME_BYTES = 255 - len("-01234567.safetensors")

_SEPARATORS = " _.-()[]"
# "HighNoise" inside a word is one by its capital; "thigh", "slow" and "glow" are none.
_WORD = r"(?P<word>(?<![A-Za-z])(?i:high|low)|(?<=[a-z0-9])(?:High|Low|HIGH|LOW))"
# What may follow a bare "high" or "low" that is meant as an expert; in "low_poly" or "high contrast" it is not.
_AFTER = (
    r"(?:v?\d+|(?:fp|bf|e|ep|epoch|r|rank|s|step)[_-]?\d+|\d+(?:steps?|epochs?|k)|lightx2v|a?14b|[ti]2v|wan\d*"
    r"|loras?|model|expert|rank|steps?|epochs?|final|comfy)(?![A-Za-z0-9])"
)
_AND = r"[\W_]*(?:(?:and|or)[\W_]*)?"
_BOTH = re.compile(rf"(?<![A-Za-z])(?i:high{_AND}low|low{_AND}high)(?![A-Za-z])")
_WITH_NOISE = re.compile(rf"{_WORD}[ _.\-]*(?i:noise)(?![a-z])")
_BARE = re.compile(rf"{_WORD}(?![A-Za-z])(?=[^A-Za-z0-9]*(?:$|(?i:{_AFTER})))")
_DOUBTFUL = re.compile(rf"(?:{_WORD}|(?P<short>(?<![A-Za-z])(?i:hn|ln|h|l)))(?![A-Za-z])")

_GENERIC = frozenset({"", "model", "lora", "loras", "adapter", "adapter_model", "pytorch_lora_weights", "lora_weights"})
_RESERVED = re.compile(r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9]|conin|conout)")  # no file may have these on Windows

_STEPS = re.compile(r"(?<![\d.])(?P<steps>[2-8])-?steps?(?![a-z])")
_FEW_STEP_WORDS = ((re.compile(r"fast-?_?wan"), 3), (re.compile(r"lightning|lightx2v|distill|(?<![a-z])turbo"), 4))


@dataclass(frozen=True)
class Reading:
    """An expert's word in a name. A doubtful one counts only where the other half of a pair is there."""

    expert: Expert
    rest: str  # the name without it
    certain: bool


@dataclass(frozen=True)
class Sight:
    """A file's place as (folder, ..., stem) without the expert's word, and that expert; None: for any."""

    expert: Expert | None
    place: tuple[str, ...]
    certain: bool = True


def read_expert(name: str) -> Reading | None:
    """The expert that a name speaks of; None if of none, or of both as in "high_and_low_noise"."""
    if _BOTH.search(name):
        return None
    for pattern in (_WITH_NOISE, _BARE, _DOUBTFUL):
        found = list(pattern.finditer(name))
        if found:
            last = found[-1]
            experts = {_expert(one) for one in found}
            certain = pattern is not _DOUBTFUL
            return Reading(_expert(last), _without(name, last), certain) if len(experts) == 1 or not certain else None
    return None


def sight(place: tuple[str, ...], told: Expert | None = None) -> Sight:
    """What the names in `place` say, the file's before its folders'; `told` is known otherwise and overrules them."""
    options = [option for option in _options(place) if told in (None, option.expert)]
    best = next((option for option in options if option.certain), None) or next(iter(options), None)
    if told is not None:
        return Sight(told, best.place if best else place)
    return best or Sight(None, place)


def expert_of_timesteps(timesteps: tuple[int, int] | None) -> Expert | None:
    """Who was trained, by the range: the border between the two is at 875 or 900 of 1000."""
    if timesteps is None:
        return None
    if timesteps[0] >= 800:
        return "high"
    return "low" if timesteps[1] <= 950 else None


def few_step(place: tuple[str, ...]) -> int | None:
    """In how many steps a distilled one works, by words in its name and its folders'; None: an ordinary one."""
    text = "/".join(place).lower()
    said = _STEPS.search(text)
    if said:
        return int(said["steps"])
    return next((steps for pattern, steps in _FEW_STEP_WORDS if pattern.search(text)), None)


def safe_name(text: str) -> str:
    """Letters and digits of any script, "_" and "-": at most `MAX_NAME`, never empty, none that Windows reserves.

    It needs no escaping in HTML or in a shell, and is one step of a path at most.
    """
    name = re.sub(r"(?:[^\w-]|_)+", "_", unicodedata.normalize("NFKC", text))
    name = _cut(name.strip("_-")[:MAX_NAME]).rstrip("_-")
    return f"lora_{name}".rstrip("_") if _RESERVED.fullmatch(name) or not name else name


def _cut(name: str) -> str:
    """The start of it that a file system takes as a file's name, with its ending: 255 bytes of UTF-8."""
    return name.encode("utf-8", "ignore")[:MAX_NAME_BYTES].decode("utf-8", "ignore")


def wishes(place: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """Names for what is at `place`, the wanted one first; the last has a suffix that differs for every path."""
    stem, folder = place[-1], place[-2] if len(place) > 1 else ""
    plain = safe_name(folder if folder and safe_name(stem).lower() in _GENERIC else stem)
    digest = sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return plain, safe_name(f"{folder}_{stem}" if folder else stem), f"{plain[: MAX_NAME - 9]}-{digest}"


def distinct(wanted: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """One name for each, of what it wishes; no two are equal, in whatever case.

    Each chooses in its turn and knows only of those before it: what comes later takes no name from anything, neither
    the first that was wished for nor one with a suffix.
    """
    taken: set[str] = set()
    for one in wanted:
        numbered = (f"{one[-1]}-{number}" for number in count(2))
        name = next(name for name in chain(one, numbered) if name.casefold() not in taken)
        taken.add(name.casefold())
        yield name


def _options(place: tuple[str, ...]) -> Iterator[Sight]:
    """From the file's name outwards; a doubtful word in a folder's name is none."""
    for n in reversed(range(len(place))):
        reading = read_expert(place[n])
        if reading and (reading.certain or n == len(place) - 1):
            without = (*place[:n], reading.rest, *place[n + 1 :])
            yield Sight(reading.expert, tuple(part for part in without[:-1] if part) + without[-1:], reading.certain)


def _expert(found: re.Match[str]) -> Expert:
    return "high" if found[0][0] in "hH" else "low"


def _without(name: str, found: re.Match[str]) -> str:
    before, after = name[: found.start()].rstrip(_SEPARATORS), name[found.end() :].lstrip(_SEPARATORS)
    return f"{before}_{after}" if before and after else before or after

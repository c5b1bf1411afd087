"""The LoRAs on disk, each under the name that requests call it by; the two files of a pair are one.

Looks into headers only (`files`). Which model one fits is in `fit`; putting it on a model is `pipelines`'.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wan22.errors import InvalidRequest
from wan22.models import looks
from wan22.models.loras.files import PICKLES, SUFFIX, LoraFile, read
from wan22.models.loras.names import (
    Expert,
    Sight,
    distinct,
    expert_of_timesteps,
    few_step,
    read_expert,
    sight,
    wishes,
)

_LINK = "It is a link to what is outside of its folder, and is not followed; put the file itself there."
_HALF = (
    "Only the half for the {here}-noise expert is here, and the {other}-noise expert works without it; put the other "
    "half beside it, named alike but for {other}_noise."
)


@dataclass(frozen=True)
class Lora:
    """What a request can name: a pair or half of one (`high`, `low`), or one file for any transformer (`single`)."""

    name: str
    high: LoraFile | None = None
    low: LoraFile | None = None
    single: LoraFile | None = None
    few_step: int | None = None  # steps that it was distilled for, guessed from its name; None: an ordinary one
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[LoraFile, ...]:
        """All of it, one or two."""
        return tuple(file for file in (self.high, self.low, self.single) if file)

    @property
    def problem(self) -> str | None:
        """Why it can't be used with any model."""
        return next((file.problem for file in self.files if file.problem), None)

    def for_expert(self, expert: Expert | None) -> LoraFile | None:
        """The file to put on an expert, or on the only transformer of a model (None); None: it stays as it is."""
        halves = {"high": self.high, "low": self.low, None: None}
        return self.single or halves[expert]


@dataclass(frozen=True)
class _Found:
    """A file of a folder, with what its name and its metadata say."""

    root: Path
    place: tuple[str, ...]
    file: LoraFile
    sight: Sight

    @property
    def key(self) -> tuple[Path, tuple[str, ...], bool]:
        """Equal for the two halves of a pair. Pickles are kept apart: they would take a good file with them."""
        return self.root, tuple(part.casefold() for part in self.sight.place), self.file.path.suffix.lower() == SUFFIX


class Loras:
    """The LoRA folders. Every call looks at the disk again; only files that changed are opened."""

    def __init__(self, folders: Sequence[Path], *, lent: Sequence[Path] = ()) -> None:
        """`lent` are another program's, where LoRAs for other models may be, too: these are passed over in silence."""
        self._own = tuple(dict.fromkeys(folders))
        self._lent = tuple(folder for folder in dict.fromkeys(lent) if folder not in self._own)

    @property
    def folders(self) -> tuple[Path, ...]:
        """All of them, those of other programs last."""
        return self._own + self._lent

    def scan(self) -> Mapping[str, Lora]:
        """All that is there by name, with its `problem` where it can't be used. A folder that is not there is empty."""
        own = list(_offers([one for folder in self._own for one in _in_folder(folder)]))
        found = (one for folder in self._lent for one in _in_folder(folder))
        lent = list(_offers([one for one in found if not one.file.problem]))
        usable = [offer for offer in own if not offer[1].problem]
        rest = [offer for offer in own if offer[1].problem]
        return dict(sorted(_named(usable, lent, rest).items(), key=lambda item: item[0].casefold()))

    def find(self, name: str) -> Lora | None:
        """The LoRA of exactly that name. What a client sends is looked up and never made a path of."""
        return self.scan().get(name)

    def get(self, name: str, *, field: str = "loras") -> Lora:
        """As `find`; raises InvalidRequest about `field`, with names that are like it."""
        known = self.scan()
        if name in known:
            return known[name]
        near = difflib.get_close_matches(name[:200], known, n=3, cutoff=0.5) or list(known)[:3]
        cure = f"there are {', '.join(near)}" if near else "put safetensors files into the LoRA folder"
        raise InvalidRequest.of(field, f"There is no LoRA of that name; {cure}.", name)


def _in_folder(folder: Path) -> Iterator[_Found]:
    root = looks.real(folder)
    if root is None:
        return
    for path in _paths(root):
        real = looks.real(path)
        inside = real is not None and real.is_relative_to(root)
        file = read(path) if inside else LoraFile(path, problem=_LINK)
        place = (*path.relative_to(root).parts[:-1], path.stem)
        yield _Found(root, place, file, sight(place, _told(file)))


def _paths(root: Path) -> Iterator[Path]:
    """Files in a folder and the folders in it; those that are links are not entered, so that there is an end to it."""
    folders = [root]
    while folders:
        for entry in looks.entries(folders.pop()):
            if entry.name.startswith("."):
                continue  # what a system or a download keeps for itself
            if looks.is_dir(entry):
                folders += [entry] if looks.real(entry) == entry else []
            elif entry.suffix.lower() == SUFFIX or entry.suffix.lower() in PICKLES:
                yield entry


def _told(file: LoraFile) -> Expert | None:
    """The expert by what is in the file; a title is what somebody typed, and counts only if it is clear."""
    if file.second:
        return "low"
    titles = (read_expert(title) for title in file.titles)
    titled = next((said.expert for said in titles if said and said.certain), None)
    return expert_of_timesteps(file.timesteps) or titled


def _offers(found: Sequence[_Found]) -> Iterator[tuple[_Found, Lora]]:
    """Pairs, lone halves and single files, each with the file that it is named after, and without a name."""
    halves: dict[tuple[object, ...], dict[Expert, _Found]] = {}
    for one in sorted(found, key=lambda one: not one.sight.certain):
        if one.sight.expert:
            halves.setdefault(one.key, {}).setdefault(one.sight.expert, one)
    for one in found:
        pair = halves.get(one.key, {})
        if len(pair) == 2 and one is pair["high"]:
            yield one, _offer(one, high=one.file, low=pair["low"].file)
        elif len(pair) == 2 and one is pair["low"]:
            continue  # it is with the other half
        elif one.sight.expert and one.sight.certain:
            yield one, _half(one, one.sight.expert)
        else:
            yield one, _offer(one, single=one.file)


def _half(one: _Found, expert: Expert) -> Lora:
    note = _HALF.format(here=expert, other="low" if expert == "high" else "high")
    return _offer(one, note, **{expert: one.file})


def _offer(one: _Found, *notes: str, **files: LoraFile) -> Lora:
    said = dict.fromkeys(note for file in files.values() for note in file.notes)
    return Lora("", **files, few_step=few_step(one.place), notes=(*notes, *said))


def _named(*groups: Sequence[tuple[_Found, Lora]]) -> dict[str, Lora]:
    """By name. A group gets the names that those before it left, so that a bad file takes none from a good one."""
    named: dict[str, Lora] = {}
    taken: set[str] = set()
    for group in groups:
        names = distinct([_wishes(one, lora) for one, lora in group], taken)
        named |= {name: replace(lora, name=name) for name, (_, lora) in zip(names, group, strict=True)}
    return named


def _wishes(one: _Found, lora: Lora) -> tuple[str, ...]:
    """Without the expert's word, unless it was in doubt and turned out to be none."""
    return wishes(one.place if lora.single else one.sight.place, one.file.path)

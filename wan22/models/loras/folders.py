"""The LoRAs on disk, each under the name that requests call it by; the two files of a pair are one.

Of several that wish for a name the first has it, in an order that only their places tell: by their folder, then those
that are in fewer folders of that one, then by the alphabet. So a name means the same after a restart, and on the disk
of another machine.

Looks into headers only (`files`). Which model one fits is in `fit`; putting it on a model is `pipelines`'.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
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
    safe_name,
    sight,
    wishes,
)

_LINK = "It is a link to what is outside of its folder, and is not followed; put the file itself there."
_HALF = (
    "Only the half for the {here}-noise expert is here, and the {other}-noise expert works without it; put the other "
    "half beside it, named alike but for {other}_noise."
)
_MAX_SENT = 200  # characters that are compared
_LIKE = 0.5  # of 1: how alike a name must be to be proposed; people leave whole words out of those of LoRAs


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
        """Which of its files keeps it from being used with any model, and why."""
        told = ((file.path.name.encode("utf-8", "replace").decode(), file.problem) for file in self.files)
        return next((f"{name} can't be used. {problem}" for name, problem in told if problem), None)

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
        return self.root, tuple(part.casefold() for part in self.sight.place), _is_pickle(self.file)


class Loras:
    """The LoRA folders. Every call looks at the disk again; only files that changed are opened."""

    def __init__(self, folders: Sequence[Path], *, shipped: Sequence[Path] = (), lent: Sequence[Path] = ()) -> None:
        """The files of `shipped` keep their names before all others', and those of a folder before the next one's.

        `lent` are another program's, where LoRAs for other models may be, too: these are passed over in silence.
        """
        self._own = tuple(dict.fromkeys((*shipped, *folders)))
        self._lent = tuple(folder for folder in dict.fromkeys(lent) if folder not in self._own)
        self.folders = tuple(dict.fromkeys((*folders, *shipped, *self._lent)))  # first those to put files into

    def scan(self) -> Mapping[str, Lora]:
        """All that is there by name, with its `problem` where it can't be used. A folder that is not there is empty."""
        return dict(sorted(_named(self._found()).items(), key=lambda item: item[0].casefold()))

    def unreadable(self) -> Mapping[Path, str]:
        """Folders, and those in them, that the system does not list, with its reasons; no scan has what is there."""
        roots = (root for folder in self.folders if (root := looks.real(folder)))
        told = ((folder, looks.refusal(folder)) for root in roots for folder in _folders(root))
        return {folder: why for folder, why in told if why}

    def renamed_by(self, arrival: LoraFile) -> Lora | None:
        """The LoRA that would lose its name if that file were there too, or None. Halves of a pair may join.

        The order of files can't prevent it everywhere: a file that arrives may come before one that is deeper down.
        What a pickle loses is no loss.
        """
        after = {file.path: lora for lora in _named(self._found(arrival)).values() for file in lora.files}
        for name, lora in self.scan().items():
            others = (file.path for file in lora.files if file.path != arrival.path and not _is_pickle(file))
            now = (after.get(path) for path in others)
            if any(one and one.name != name and arrival not in one.files for one in now):
                return lora
        return None

    def find(self, name: str) -> Lora | None:
        """The LoRA of exactly that name. What a client sends is looked up and never made a path of."""
        return self.scan().get(name)

    def get(self, name: str, *, field: str = "loras") -> Lora:
        """As `find`; raises InvalidRequest about `field`, with names that are like it."""
        known = self.scan()
        if name in known:
            return known[name]
        raise InvalidRequest.of(field, f"There is no LoRA of that name; {_cure(name[:_MAX_SENT], known)}", name)

    def _found(self, arrival: LoraFile | None = None) -> list[_Found]:
        """All files in the order in which they are named; one that is in two of the folders is in the first."""
        own = (one for folder in self._own for one in _in_folder(folder, arrival))
        lent = (one for folder in self._lent for one in _in_folder(folder) if not one.file.problem)
        found: dict[Path, _Found] = {}
        for one in chain(own, lent):
            found.setdefault(one.file.path, one)
        return list(found.values())


def _cure(name: str, known: Mapping[str, Lora]) -> str:
    if not known:
        return "put safetensors files into the LoRA folder."
    near = _near(name, list(known))
    question = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{question}`GET /api/v1/models/loras` lists all that are there."


def _near(name: str, known: Sequence[str]) -> list[str]:
    """The one that is meant but for its case, or by the name of its file; else up to three that are like it."""
    by_fold = {one.casefold(): one for one in known}
    wanted = safe_name(re.sub(rf"{SUFFIX}$", "", name.strip(), flags=re.IGNORECASE)).casefold()
    close = [wanted] if wanted in by_fold else difflib.get_close_matches(wanted, by_fold, n=3, cutoff=_LIKE)
    return [by_fold[one] for one in close]


def _is_pickle(file: LoraFile) -> bool:
    return file.path.suffix.lower() in PICKLES


def _in_folder(folder: Path, arrival: LoraFile | None = None) -> Iterator[_Found]:
    """Its files in their order, with `arrival` where that is about to be one of them."""
    root = looks.real(folder)
    if root is None:
        return
    files = {path: _file(path, root) for path in _paths(root)}
    if arrival and arrival.path.parent == root:
        files[arrival.path] = arrival
    for path in sorted(files, key=lambda path: (len(path.parts), path)):
        place = (*path.relative_to(root).parts[:-1], path.stem)
        yield _Found(root, place, files[path], sight(place, _told(files[path])))


def _file(path: Path, root: Path) -> LoraFile:
    real = looks.real(path)
    inside = real is not None and real.is_relative_to(root)
    return read(path) if inside else LoraFile(path, problem=_LINK)


def _paths(root: Path) -> Iterator[Path]:
    """Files in a folder and the folders in it that may be LoRAs."""
    for folder in _folders(root):
        for entry in _seen(folder):
            if entry.suffix.lower() in (SUFFIX, *PICKLES) and not looks.is_dir(entry):
                yield entry


def _folders(root: Path) -> Iterator[Path]:
    """A folder and those in it; the ones that are links are not entered, so that there is an end to it."""
    folders = [root]
    while folders:
        folder = folders.pop()
        yield folder
        folders += [entry for entry in _seen(folder) if looks.is_dir(entry) and looks.real(entry) == entry]


def _seen(folder: Path) -> Iterator[Path]:
    """What is in it, but for what a system or a download keeps there for itself."""
    return (entry for entry in looks.entries(folder) if not entry.name.startswith("."))


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


def _named(found: Sequence[_Found]) -> dict[str, Lora]:
    """By name, in their order; pickles come last, so that they take no name from what can be used.

    A damaged file keeps its place: were its name another's until it is mended, a request would mean another LoRA.
    """
    offers = sorted(_offers(found), key=lambda offer: _is_pickle(offer[0].file))
    names = distinct(_wishes(one, lora) for one, lora in offers)
    return {name: replace(lora, name=name) for name, (_, lora) in zip(names, offers, strict=True)}


def _wishes(one: _Found, lora: Lora) -> tuple[str, ...]:
    """Without the expert's word, unless it was in doubt and turned out to be none."""
    place = one.place if lora.single else one.sight.place
    return wishes(place, one.root.joinpath(*place))  # a half's path, too, is that of its pair

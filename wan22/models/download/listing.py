"""The files of one commit of a repository, with the size and the hash that the hub gives for each.

A listing is what every byte is judged by, so it comes from the hub (`hub`) or from its copy on disk (`manifest`), and
never from the mirror that serves the bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, Literal

from wan22.errors import DownloadFailed
from wan22.models.download import names

Algorithm = Literal["sha256", "git-sha1"]

_HEX = {"sha256": re.compile("[0-9a-f]{64}"), "git-sha1": re.compile("[0-9a-f]{40}")}
_LARGEST = 1 << 53  # bytes: beyond what any disk has, and what JSON's numbers can tell exactly
_COMMIT = re.compile("[0-9a-f]{40}")
_UNTRUSTED = "Nothing was fetched. Check which repository and which hub the settings name; the listing can't be used."


@dataclass(frozen=True)
class WantedFile:
    """One file: its path inside the repository, and what its content must hash to."""

    path: str
    size: int  # bytes
    algorithm: Algorithm  # git's hash of a blob is all that the hub has for a file outside Git LFS
    digest: str  # hex

    def hasher(self) -> hashlib._Hash:
        """A hash that has seen nothing yet of this file's content."""
        if self.algorithm == "sha256":
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)


@dataclass(frozen=True)
class Listing:
    """Files of one commit; `revision` is the name under which it was asked for."""

    repository: str
    revision: str
    commit: str
    files: tuple[WantedFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def commit_of(answer: Any) -> str:
    """The commit in the hub's answer about a revision. Raises DownloadFailed if it has none."""
    commit = answer.get("sha") if isinstance(answer, dict) else None
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise DownloadFailed("The hub's answer names no commit.", hint=_UNTRUSTED)
    return commit


def file_of(entry: Any) -> WantedFile | None:
    """The file that an entry of the hub's tree stands for; None for a folder. Raises DownloadFailed if damaged."""
    if not isinstance(entry, dict) or entry.get("type") != "file":
        return None
    lfs = entry.get("lfs")
    if isinstance(lfs, Mapping):
        return checked(entry.get("path"), lfs.get("size"), "sha256", lfs.get("oid"))
    return checked(entry.get("path"), entry.get("size"), "git-sha1", entry.get("oid"))


def checked(path: Any, size: Any, algorithm: Any, digest: Any) -> WantedFile:
    """A file from values of another machine or of a file on disk. Raises DownloadFailed unless all four are sound."""
    fault = names.fault_of(path) if isinstance(path, str) else "it is no text"
    if fault:
        raise DownloadFailed(f"The listing has a file name that is refused, {path!r:.80}: {fault}.", hint=_UNTRUSTED)
    is_size = isinstance(size, int) and not isinstance(size, bool) and 0 <= size < _LARGEST
    sound = is_size and algorithm in _HEX and isinstance(digest, str)
    if not sound or not _HEX[algorithm].fullmatch(digest):
        raise DownloadFailed(f"The listing has no usable size or hash for {path}.", hint=_UNTRUSTED)
    return WantedFile(path, size, algorithm, digest)


def choose(listing: Listing, patterns: Iterable[str] = ("*",)) -> Listing:
    """The files to fetch: those of a safe kind that match one of `patterns`, where `*` matches slashes too.

    Raises DownloadFailed for a pattern that nothing matches, or nothing but files that are not fetched (pickles by
    name), and for two files that a system which does not tell cases apart would take for one.
    """
    chosen: dict[str, WantedFile] = {}
    for pattern in patterns:
        matching = [file for file in listing.files if fnmatchcase(file.path, pattern)]
        fetched = {file.path: file for file in matching if names.is_fetched(file.path)}
        if not fetched:
            raise _nothing(listing, pattern, matching)
        chosen |= fetched
    _refuse_twins(chosen)
    return replace(listing, files=tuple(chosen[path] for path in sorted(chosen)))


def _nothing(listing: Listing, pattern: str, matching: list[WantedFile]) -> DownloadFailed:
    pickles = [file.path for file in matching if names.is_pickle(file.path)]
    if pickles:
        return DownloadFailed(
            f"{listing.repository} has {pattern} only as {pickles[0]}, a pickle, which can run code when it is read.",
            hint="Nothing was fetched. Name a repository that has these weights as .safetensors.",
        )
    return DownloadFailed(
        f"{listing.repository} at {listing.revision} has no file for {pattern} that may be fetched.",
        hint="Nothing was fetched. Check the repository and the revision.",
    )


def _refuse_twins(paths: Iterable[str]) -> None:
    """Refuse two names that are one where case does not count, and a file where another file needs a folder."""
    seen: dict[str, str] = {}
    for path in paths:
        if (twin := seen.setdefault(path.casefold(), path)) != path:
            raise DownloadFailed(f"The listing has both {path} and {twin}.", hint=_UNTRUSTED)
    for folded, path in seen.items():
        parents = (str(parent) for parent in PurePosixPath(folded).parents)
        if (parent := next((parent for parent in parents if parent in seen), None)) is not None:
            raise DownloadFailed(f"The listing has both {path} and {seen[parent]}.", hint=_UNTRUSTED)

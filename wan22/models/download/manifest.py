"""What a model's folder knows of itself, in `.wan22/`: the hub's listing, and which files were hashed and found right.

With it a later run works while the hub is dead. Fetches nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wan22.errors import DownloadFailed
from wan22.models.download.disk import read_json, write_json
from wan22.models.download.listing import Listing, WantedFile, checked, commit_of

OURS = ".wan22"
_MANIFEST = "manifest.json"
_VERIFIED = "verified.json"


def write_manifest(target: Path, listing: Listing) -> None:
    """Keep the listing, all files of it and not only those that are fetched. Raises OSError."""
    (target / OURS).mkdir(parents=True, exist_ok=True)
    write_json(target / OURS / _MANIFEST, asdict(listing))


def find_manifest(target: Path) -> Listing | None:
    """The listing that was kept; None where there is none, or one that is damaged."""
    content = read_json(target / OURS / _MANIFEST)
    try:
        return _listing_of(content)
    except (DownloadFailed, KeyError, TypeError):
        return None


def _listing_of(content: Mapping[str, Any]) -> Listing:
    commit = commit_of({"sha": content["commit"]})
    names = ("path", "size", "algorithm", "digest")
    files = tuple(checked(*(entry[name] for name in names)) for entry in content["files"])
    return Listing(str(content["repository"]), str(content["revision"]), commit, files)


class Verified:
    """Which files of a folder were hashed and right, as long as their size and time stay. Used by many threads.

    Spares hashing tens of gigabytes again at each run; whoever doubts the disk checks the files themselves.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._known = read_json(target / OURS / _VERIFIED)

    def knows(self, file: WantedFile) -> bool:
        """True if what is on disk under the file's name was found right and not touched since."""
        stamp = self._stamp(file)
        with self._lock:
            return stamp is not None and self._known.get(file.path) == stamp

    def add(self, file: WantedFile) -> None:
        """What is on disk under the file's name is right. Raises OSError."""
        stamp = self._stamp(file)
        with self._lock:
            self._known[file.path] = stamp
            write_json(self._target / OURS / _VERIFIED, self._known)

    def _stamp(self, file: WantedFile) -> list[Any] | None:
        try:
            found = (self._target / file.path).stat()
        except OSError:
            return None
        return [file.digest, found.st_size, found.st_mtime_ns] if found.st_size == file.size else None

"""What a download would do, before it does anything: which bytes are missing, and whether they fit. Only looks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from wan22.errors import DownloadFailed
from wan22.models import looks
from wan22.models.download.disk import Disk, has_room, refuse_without_room
from wan22.models.download.listing import Listing, WantedFile
from wan22.models.download.manifest import Verified
from wan22.models.download.part import recorded_pieces


@dataclass(frozen=True)
class PlannedFile:
    """One file, and how much of it is on disk; `checked` once it was hashed and right."""

    file: WantedFile
    held_bytes: int
    checked: bool = False

    @property
    def missing_bytes(self) -> int:
        """Bytes still to fetch, if what is there turns out right."""
        return self.file.size - self.held_bytes


@dataclass(frozen=True)
class DownloadPlan:
    """Which files, how much of them is missing, and what is free."""

    listing: Listing
    chosen: Listing
    target: Path
    files: tuple[PlannedFile, ...]
    free_bytes: int

    @property
    def missing_bytes(self) -> int:
        """Bytes still to fetch, which is also what the disk must take."""
        return sum(file.missing_bytes for file in self.files)

    @property
    def fits(self) -> bool:
        """Whether the disk takes it and keeps some space free."""
        return has_room(self.missing_bytes, self.free_bytes)

    def refuse_what_does_not_fit(self) -> None:
        """Raises DiskFull with both figures unless `fits`."""
        refuse_without_room(self.listing.repository, self)


def make_plan(listing: Listing, chosen: Listing, target: Path, *, disk: Disk | None = None) -> DownloadPlan:
    """The plan to bring `chosen` of `listing` into `target`. Reads no content: a file of the right size is taken for
    held, and hashed when the download runs. Raises DownloadFailed if a folder in `target` leads out of it, or if we may
    not look into that."""
    if looks.is_dir(target) and not os.access(target, os.R_OK | os.X_OK):
        raise DownloadFailed(
            f"{target} can't be looked into.",
            hint="Nothing was fetched. Let the server's account read and write there.",
        )
    verified = Verified(target)
    files = tuple(_planned(file, target, verified) for file in chosen.files)
    return DownloadPlan(listing, chosen, target, files, (disk or Disk()).free_bytes(target))


def _planned(file: WantedFile, target: Path, verified: Verified) -> PlannedFile:
    path = target / file.path
    if not path.parent.resolve().is_relative_to(target.resolve()):
        raise DownloadFailed(
            f"{path.parent} leads out of {target}.",
            hint="Nothing was fetched. Make it a real folder; models.models_dirs puts models on another disk.",
        )
    if verified.knows(file):
        return PlannedFile(file, file.size, checked=True)
    whole = looks.is_file(path) and path.stat().st_size == file.size
    return PlannedFile(file, file.size if whole else recorded_pieces(path, file).held)

"""What a download of a variant's weights would fetch, from one repository or two, and whether the disk can take it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wan22.models.catalogue import VariantSpec
from wan22.models.download import DownloadPlan, Listing, PlannedFile
from wan22.models.download.disk import has_room, refuse_without_room


@dataclass(frozen=True)
class WeightsPlan:
    """What is missing of a variant, by repository: its own first, then the official one for what it does not have."""

    variant: VariantSpec
    plans: tuple[DownloadPlan, ...]
    cached_bytes: int = 0  # of those that are missing: another program's cache has them, from where they are copied

    @property
    def listing(self) -> Listing:
        """Of the variant's own repository, or of the official one where nothing else is to be fetched."""
        return self.plans[0].listing

    @property
    def target(self) -> Path:
        """The folder that files of `listing` come into."""
        return self.plans[0].target

    @property
    def files(self) -> tuple[PlannedFile, ...]:
        """Of all repositories."""
        return tuple(file for plan in self.plans for file in plan.files)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(plan.chosen.size for plan in self.plans)

    @property
    def missing_bytes(self) -> int:
        """Bytes still to come, `cached_bytes` among them."""
        return sum(plan.missing_bytes for plan in self.plans)

    @property
    def free_bytes(self) -> int:
        """On the fullest of the disks that they come to."""
        return min(plan.free_bytes for plan in self.plans)

    @property
    def fits(self) -> bool:
        """Whether the disk takes it and keeps some space free; two disks are taken for one."""
        return has_room(self.missing_bytes, self.free_bytes)

    def seconds_at(self, bytes_per_s: float | None) -> float | None:
        """How long the fetching would take at a speed, as the last one; None where it is not known."""
        return (self.missing_bytes - self.cached_bytes) / bytes_per_s if bytes_per_s else None

    def refuse_what_does_not_fit(self) -> None:
        """Raises DiskFull with both figures unless `fits`."""
        refuse_without_room(self.listing.repository, self)

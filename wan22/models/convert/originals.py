"""What a conversion was made of, once it is no longer needed: which files may go, and their removal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wan22.errors import WrongState
from wan22.models.convert.plan import ConversionPlan
from wan22.models.download.manifest import OURS


@dataclass(frozen=True)
class Originals:
    """The files of one variant in one of the models' folders; what else lies beside them stays."""

    folder: Path
    files: tuple[Path, ...]

    def remove(self) -> None:
        """Remove them, and folders that are empty then. Raises OSError."""
        for path in self.files:
            path.unlink(missing_ok=True)
        for folder in sorted({path.parent for path in self.files}, reverse=True):  # the inner ones first
            with contextlib.suppress(OSError):  # not empty: something of somebody else's is in it
                folder.rmdir()


def originals_of(plan: ConversionPlan, roots: Sequence[Path]) -> Originals:
    """All that the plan reads, with the records of its download.

    Raises WrongState unless the source is a real folder in one of `roots` and every file really lies in it: what a link
    leads to, as in another program's cache, is never ours to remove.
    """
    folder = plan.source.resolve()
    inside = any(root.resolve() in folder.parents for root in roots)
    files = tuple(dict.fromkeys(_files(plan)))
    if not inside or plan.source.is_symlink() or any(_leads_out(path, folder) for path in files):
        raise WrongState(
            f"{plan.source} is not the models' own: it is, or has links to, a place outside of them.",
            hint="Nothing was written. Leave --remove-originals out, and remove them in the program that has them.",
        )
    return Originals(plan.source, files)


def _files(plan: ConversionPlan) -> Iterator[Path]:
    yield from (plan.source / kept.path for kept in plan.kept)
    for transformer in plan.transformers:
        yield from sorted(path for path in (plan.source / transformer.name).iterdir() if path.is_file())
    if (plan.source / OURS).is_dir():
        yield from sorted((plan.source / OURS).iterdir())


def _leads_out(path: Path, folder: Path) -> bool:
    return not path.resolve().is_relative_to(folder)

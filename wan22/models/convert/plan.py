"""What a conversion would do, before it does anything: which files, from what, and whether they fit. Only looks."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wan22.errors import ModelCorrupt, WrongState
from wan22.models import files
from wan22.models.convert.layout import MAX_SHARD, Kind, Layout, Shard, layout_of
from wan22.models.convert.slices import check_source
from wan22.models.convert.source import StoredTensor, find_tensors, weight_files
from wan22.models.download.disk import Disk, has_room, read_json, refuse_without_room, standing
from wan22.models.download.manifest import OURS
from wan22.models.download.names import PART
from wan22.models.eight_bit import stored_bits

RECORD = "conversion.json"


@dataclass(frozen=True)
class Transformer:
    """One transformer: its name, the tensors that are read and the files that are made of them."""

    name: str
    tensors: Mapping[str, StoredTensor]
    layout: Layout


@dataclass(frozen=True)
class Kept:
    """One file of another component, which stays as it is: by its path in both folders."""

    path: str
    size: int

    @property
    def is_weights(self) -> bool:
        """Whether it is large, so that a second name for it is better than a second file."""
        return self.path.endswith(".safetensors")


@dataclass(frozen=True)
class ConversionPlan:
    """From one folder in diffusers layout to another one."""

    kind: Kind
    source: Path
    target: Path
    transformers: tuple[Transformer, ...]
    kept: tuple[Kept, ...]
    record: Mapping[str, Any]  # of what this makes something: a folder with the same one is gone on with
    missing_bytes: int  # still to be written
    free_bytes: int

    def shards(self) -> Iterator[tuple[Transformer, Shard, str]]:
        """Every file of weights that is made, with its path in the target."""
        for transformer in self.transformers:
            for shard in transformer.layout.shards:
                yield transformer, shard, f"{transformer.name}/{shard.name}"

    def is_made(self, path: str, size: int) -> bool:
        """Whether a file is there already: what has its name is whole, since that came by a rename."""
        return self.is_going_on() and files.size(self.target / path) == size

    def is_going_on(self) -> bool:
        """Whether the target was begun from the same files, for the same kind."""
        return read_json(self.target / OURS / RECORD) == self.record

    @property
    def fits(self) -> bool:
        """Whether the disk takes it and keeps some space free."""
        return has_room(self.missing_bytes, self.free_bytes)

    def refuse_what_does_not_fit(self) -> None:
        """Raises DiskFull with both figures unless `fits`."""
        refuse_without_room("The conversion", self, undone="Nothing was written.")


def make_plan(
    source: Path, target: Path, kind: Kind, *, max_shard: str = MAX_SHARD, disk: Disk | None = None
) -> ConversionPlan:
    """The plan to make `target` of the whole model in `source`. Takes seconds: the libraries are asked for the layout.

    Raises ModelCorrupt where the source can't be read, and WrongState where the target has weights from elsewhere.
    """
    transformers = tuple(_transformer(source / name, kind, max_shard) for name in _names(source))
    kept = tuple(_kept(source, {one.name for one in transformers}))
    plan = ConversionPlan(kind, source, target, transformers, kept, _record(source, kind, max_shard), 0, 0)
    if not plan.is_going_on():
        _refuse_foreign(target)
    free = (disk or Disk()).free_bytes(target)
    missing = sum(_to_write(plan, path, shard.size) for _, shard, path in plan.shards()) + _to_copy(plan)
    return ConversionPlan(kind, source, target, transformers, kept, plan.record, missing, free)


def _names(source: Path) -> list[str]:
    return [name for name in ("transformer", "transformer_2") if (source / name).is_dir()]


def _transformer(folder: Path, kind: Kind, max_shard: str) -> Transformer:
    if bits := stored_bits(folder):
        raise ModelCorrupt(
            f"{folder} is kept in {bits}, of which nothing else can be made. Convert the official weights."
        )
    config = files.read_json(folder / "config.json")
    if config is None:
        raise ModelCorrupt(f"{folder / 'config.json'} can't be read. Fetch it again.")
    transformer = Transformer(folder.name, find_tensors(folder), layout_of(config, kind, max_shard))
    check_source(transformer.tensors, transformer.layout)
    return transformer


def _kept(source: Path, made: set[str]) -> Iterator[Kept]:
    """Files of the components that stay, model_index.json as the last, since with it the folder counts as whole."""
    for folder in sorted(path for path in source.iterdir() if path.is_dir() and path.name not in {*made, OURS}):
        for path in sorted(folder.iterdir()):
            if path.is_file() and not path.name.startswith(".") and path.suffix != PART:
                yield Kept(f"{folder.name}/{path.name}", path.stat().st_size)
    yield Kept(files.MODEL_INDEX, files.size(source / files.MODEL_INDEX))


def _record(source: Path, kind: Kind, max_shard: str) -> dict[str, Any]:
    """What the result depends on, in JSON's own types."""
    read = [path for name in _names(source) for path in weight_files(source / name)]
    stamps = {str(path.resolve()): [path.stat().st_size, path.stat().st_mtime_ns] for path in read}
    versions = {name: importlib.metadata.version(name) for name in ("torch", "torchao", "diffusers")}
    return {"kind": kind, "shard": max_shard, "source": stamps, "made_with": versions}


def _refuse_foreign(target: Path) -> None:
    """Weights that no conversion of ours has made are never written over."""
    ours = (target / OURS / RECORD).is_file()
    if not ours and any(target.glob("*/*.safetensors")):
        raise WrongState(
            f"{target} has weights that no conversion made.",
            hint="Nothing was written. Use them as they are, or give the folder another name.",
        )


def _to_write(plan: ConversionPlan, path: str, size: int) -> int:
    """Bytes that a file will take beyond what a stopped run left of it, which is written over."""
    return 0 if plan.is_made(path, size) else max(0, size - files.size(plan.target / f"{path}{PART}"))


def _to_copy(plan: ConversionPlan) -> int:
    """Bytes of large files that can't have a second name on the target's disk."""
    copied = (one for one in plan.kept if one.is_weights and files.size(plan.target / one.path) != one.size)
    on_disk = standing(plan.target).stat().st_dev
    return sum(one.size for one in copied if (plan.source / one.path).stat().st_dev != on_disk)

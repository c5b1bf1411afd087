"""Finds the weights of a variant on disk: in the models' folders first, then where other programs keep theirs.

Looks, and downloads, loads or chooses nothing; which variant is used is decided in `variants`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from wan22.models import files, looks, single_files
from wan22.models.catalogue import SPECS
from wan22.models.catalogue_file import Variants
from wan22.models.cures import mend_of
from wan22.models.elsewhere import Elsewhere
from wan22.models.parts import Parts
from wan22.models.specs import OFFICIAL, ModelSpec, SingleFile, VariantSpec

_CACHE = "Hugging Face's cache"
_COMFYUI = "a folder of ComfyUI"


@dataclass(frozen=True)
class VariantReport:
    """How the weights of a variant stand: `why` is for people, `missing` names paths inside `path`."""

    state: Literal["ready", "corrupt", "partial", "missing"]  # corrupt: whole, with files that were found wrong
    why: str
    path: Path | None = None
    missing: tuple[str, ...] = ()
    name: str = OFFICIAL
    parts: Parts | None = None  # where it is whole
    owner: str | None = None  # of a place that is not ours, in words; nothing is ever written there
    fault: str = ""  # why it is corrupt, without the cure that `why` ends in


@dataclass(frozen=True)
class Found:
    """A single file, whose place that is where it is not ours, and what is wrong with it."""

    path: Path
    owner: str | None = None
    fault: str | None = None


class Shelf:
    """The places where weights are looked for. Every call looks at the disk again."""

    def __init__(self, roots: tuple[Path, ...], demos: Path, variants: Variants, elsewhere: Elsewhere) -> None:
        self.roots = roots
        self._demos = demos
        self._variants = variants
        self.elsewhere = elsewhere

    def look(self, variant: VariantSpec) -> VariantReport:
        """How the variant stands: the first place where it is whole, else the first of ours where it is in part."""
        if variant.is_demo:
            folder = self._demos / SPECS[variant.model_type].slug
            return VariantReport("ready", "", folder, name=variant.name, parts=Parts(folder))
        return self._look_folder(variant) if variant.layout == "folder" else self._look_files(variant)

    def own_folders(self, variant: VariantSpec) -> list[Path]:
        """Folders of its name that are there, in the models' folders."""
        slug = SPECS[variant.model_type].slug
        places = (files.child(files.child(root, slug), variant.name) for root in self.roots)
        return [path for path in places if looks.is_dir(path)]

    def place_for(self, variant: VariantSpec) -> Path:
        """The folder where it is looked for first, whether it is there or not."""
        return self.roots[0] / SPECS[variant.model_type].slug / variant.name

    def donor(self, variant: VariantSpec, component: str) -> Path | None:
        """The first folder in diffusers layout that has a component which a single file lacks."""
        return _donor(self._donors(variant), component)

    def lent(self, variant: VariantSpec) -> dict[str, Found]:
        """The components that another program has as single files, so that they need not be fetched."""
        config = _config_of(variant, self._donors(variant))
        found = {name: _judged(self._candidates(variant, name), variant.files[name], config) for name in variant.files}
        return {name: one for name, one in found.items() if one and one.owner and not one.fault}

    def _look_folder(self, variant: VariantSpec) -> VariantReport:
        spec, worse = SPECS[variant.model_type], None
        for path in self.own_folders(variant):
            missing = files.missing_files(path, spec.components)
            told = _partial(variant, path, missing)
            partial = VariantReport("partial", told, path, missing, variant.name)
            report = partial if missing else _whole(variant, Parts(path))
            if report.state == "ready":
                return report
            worse = worse or report
        for path in self.elsewhere.snapshots(variant):
            if _is_whole(path, spec):
                return _whole(variant, Parts(path), _CACHE)
        return worse or self._absent(variant)

    def _look_files(self, variant: VariantSpec) -> VariantReport:
        candidates = {name: self._candidates(variant, name) for name in variant.files}
        if not any(candidates.values()):
            return self._absent(variant)
        donors = self._donors(variant)
        config = _config_of(variant, donors)
        found = {name: _judged(candidates[name], file, config) for name, file in variant.files.items()}
        first = next(one for one in found.values() if one)
        rest = {name: _donor(donors, name) for name in rest_of(SPECS[variant.model_type])}
        path = first.path.parent if first.owner else first.path.parents[1]
        if missing := (*_wrong(variant, found), *(_shown(name) for name, folder in rest.items() if not folder)):
            told = _partial(variant, path, missing)
            return VariantReport("partial", told, path, missing, variant.name, owner=first.owner)
        places = {name: one.path for name, one in found.items() if one}
        places |= {name: folder / name for name, folder in rest.items() if folder}
        return _whole(variant, Parts(path, places, config), first.owner)

    def _candidates(self, variant: VariantSpec, component: str) -> list[Found]:
        """Files of the right name, our own first."""
        name = variant.files[component].name
        own = [Found(files.child(folder / component, name)) for folder in self.own_folders(variant)]
        cached = [Found(folder / variant.files[component].path, _CACHE) for folder in self.elsewhere.snapshots(variant)]
        others = [Found(path, _COMFYUI) for path in self.elsewhere.files(name)]
        return [one for one in (*own, *cached, *others) if looks.is_file(one.path)]

    def _donors(self, variant: VariantSpec) -> list[Path]:
        """Folders in diffusers layout with components of the same model: its own, then the others as they are known."""
        folders = self.own_folders(variant)
        for other in self._variants[variant.model_type].values():
            if other.layout == "folder" and not other.is_demo:
                folders += [*self.own_folders(other), *self.elsewhere.snapshots(other)]
        return folders

    def _absent(self, variant: VariantSpec) -> VariantReport:
        searched = ", ".join(str(root) for root in self.roots)
        slug, model = SPECS[variant.model_type].slug, variant.model_type.value
        told = f"The real weights of {model} ({variant.name}) are not on disk: no folder {slug}/{variant.name}"
        return VariantReport("missing", f"{told} in {searched}.", name=variant.name)


def _judged(candidates: list[Found], file: SingleFile, config: Mapping[str, Any]) -> Found | None:
    """The first that is right, else the first with what is wrong with it."""
    judged = (replace(one, fault=single_files.fault_of(one.path, config, file.size)) for one in candidates)
    wrong = None
    for one in judged:
        if one.fault is None:
            return one
        wrong = wrong or one
    return wrong


def _donor(folders: list[Path], component: str) -> Path | None:
    return next((folder for folder in folders if _has(folder, component)), None)


def _config_of(variant: VariantSpec, donors: list[Path]) -> Mapping[str, Any]:
    """Of the transformers of single files: what a folder of the model says, else the catalogue."""
    spec = SPECS[variant.model_type]
    found = (_config_in(folder, spec) for folder in donors)
    return next((config for config in found if config), spec.transformer)


def rest_of(spec: ModelSpec) -> tuple[str, ...]:
    """What a variant of single files takes from elsewhere."""
    return (files.MODEL_INDEX, *(name for name in spec.components if name not in spec.transformers))


def _has(folder: Path, component: str) -> bool:
    if component == files.MODEL_INDEX:
        return files.read_json(folder / component) is not None
    return not files.lacking(folder / component, component)


def _config_in(folder: Path, spec: ModelSpec) -> dict[str, Any] | None:
    """The transformer's config.json, where there is one of that model; without what a quantized one says of itself."""
    config = files.read_json(folder / "transformer" / "config.json") or {}
    config.pop("quantization_config", None)
    return config if spec.transformer.keys() <= config.keys() and _takes(config) == _takes(spec.transformer) else None


def _takes(config: Mapping[str, Any]) -> Any:
    return config["in_channels"]


def _is_whole(snapshot: Path, spec: ModelSpec) -> bool:
    """Whether a folder that others wrote has everything, with headers that can be read, of that model."""
    if files.missing_files(snapshot, spec.components):
        return False
    shards = [
        path for name in spec.components for path in looks.entries(snapshot / name) if path.suffix == ".safetensors"
    ]
    return _config_in(snapshot, spec) is not None and all(single_files.is_readable(path) for path in shards)


def _wrong(variant: VariantSpec, found: Mapping[str, Found | None]) -> Iterator[str]:
    for component, one in found.items():
        if one is None or one.fault:
            yield f"{component}/{variant.files[component].name}" + (f" ({one.fault})" if one else "")


def _shown(component: str) -> str:
    return component if component == files.MODEL_INDEX else f"{component}/"


def _whole(variant: VariantSpec, parts: Parts, owner: str | None = None) -> VariantReport:
    """Ready, unless a verification found something wrong that was not touched since."""
    named = f"{variant.model_type.value} ({variant.name})"
    kept = f", {owner}" if owner else ""
    found = VariantReport("ready", f"The real weights of {named} are in {parts.folder}{kept}.", parts.folder)
    found = replace(found, name=variant.name, parts=parts, owner=owner)
    wrong = next(iter(parts.wrong), None)
    if wrong is None:
        return found
    found_so = f"found {wrong.fault}" if wrong.fault in ("missing", "unreadable") else f"found with {wrong.fault}"
    told = f"{wrong.path} of {named} in {parts.folder} was {found_so} and not touched since."
    return replace(found, state="corrupt", why=f"{told} {mend_of(variant, parts.folder, owner)}", fault=told)


def _partial(variant: VariantSpec, path: Path, missing: tuple[str, ...]) -> str:
    named = ", ".join(missing[:3])
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    told = f"The real weights of {variant.model_type.value} ({variant.name}) in {path} are not whole"
    return f"{told}: missing {named}{more}."

"""The real weights of a model as files: what to fetch and from where.

The fetching itself is `download`'s; whether what is on disk is right, `verification` tells. Asks the hub, so that calls
may take seconds.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from wan22.errors import DownloadFailed, FieldError, InvalidRequest, WrongState
from wan22.models.catalogue import SPECS, VariantSpec
from wan22.models.cures import cure_of
from wan22.models.download import (
    Download,
    DownloadPlan,
    HttpFolder,
    Hub,
    HubSource,
    Listing,
    LocalFolder,
    MirrorSource,
    Options,
    Renamed,
    Source,
    WantedFile,
    choose,
    make_plan,
)
from wan22.models.download.manifest import find_manifest
from wan22.models.files import size
from wan22.models.in_turn import InTurn
from wan22.models.last_speed import LastSpeed
from wan22.models.shelf import rest_of
from wan22.models.specs import OFFICIAL, SingleFile
from wan22.models.variants import Models
from wan22.models.weights_plan import WeightsPlan
from wan22.settings import DownloadSettings
from wan22.tasks import ModelType


class Weights:
    """Plans and fetches the real weights in the models' folders."""

    def __init__(self, models: Models, settings: DownloadSettings) -> None:
        self._models = models
        self._settings = settings
        self.last_speed = LastSpeed(models.shelf.roots[-1])

    @property
    def sources(self) -> Mapping[str, str]:
        """What may be asked first, by the name that a caller gives it, with the address or folder of each."""
        mirrors = {f"mirror-{number}": said for number, said in enumerate(self._settings.mirrors, 1)}
        folders = {f"folder-{number}": said for number, said in enumerate(self._settings.folders, 1)}
        return {"hub": self._settings.hub, **mirrors, **folders}

    @property
    def models(self) -> Models:
        """The folders that they are planned for."""
        return self._models

    def faults(self, model_type: ModelType, variant: str = OFFICIAL, source: str | None = None) -> list[FieldError]:
        """What is wrong with these names, one for each; a variant without a source is named with its cure."""
        known = self.known(model_type)
        found = known.get(variant)
        wrong = []
        if found is None:
            fetched = [name for name, one in known.items() if one.repository]
            wrong.append(FieldError("variant", f"must be one of {', '.join(fetched)}", variant))
        elif found.repository is None:
            cure = "it comes with the server" if found.is_demo else f"it has no source. {cure_of(found)}"
            wrong.append(FieldError("variant", f"can't be fetched: {cure}", variant))
        if source is not None and source not in self.sources:
            wrong.append(FieldError("source", f"must be one of {', '.join(self.sources)}", source))
        return wrong

    def plan(self, model_type: ModelType, variant: str = OFFICIAL) -> WeightsPlan:
        """What is missing of a variant, or of a LoRA for the model.

        Raises InvalidRequest for one that is not known or has no source, WrongState for one that another program has,
        and DownloadFailed where neither the hub nor a folder of it can list the files.
        """
        if wrong := self.faults(model_type, variant):
            raise InvalidRequest(wrong)
        found = self.known(model_type)[variant]
        plans = {"folder": self._plan_folder, "files": self._plan_files, "lora": self._plan_lora}
        made = plans[found.layout](found)
        return WeightsPlan(found, made, sum(map(self._cached_bytes, made)))

    def download(self, plan: WeightsPlan, source: str | None = None) -> InTurn:
        """A download of what is planned, ready to run, which asks `source` first.

        Raises DiskFull if it does not fit, InvalidRequest for a source that the settings do not have.
        """
        if wrong := self.faults(plan.variant.model_type, plan.variant.name, source):
            raise InvalidRequest(wrong)
        plan.refuse_what_does_not_fit()
        options = Options(
            parallel=self._settings.parallel,
            max_bytes_per_s=self._settings.max_bytes_per_s,
            stall_s=self._settings.stall_s,
        )
        there = {plan.variant.place_of(component): file.path for component, file in plan.variant.files.items()}
        runs = [Download(one, self._sources(one.listing, source, there), options) for one in plan.plans]
        return InTurn(runs, on_end=self.last_speed.keep)

    def _cached_bytes(self, plan: DownloadPlan) -> int:
        """Bytes of missing files that another program's cache has in their size, so that they are copied first."""
        cached = self._models.shelf.elsewhere.snapshot(plan.listing.repository, plan.listing.commit)
        if cached is None:
            return 0
        found = (one for one in plan.files if size(cached / one.file.path) == one.file.size)
        return sum(one.missing_bytes for one in found)

    def known(self, model_type: ModelType) -> Mapping[str, VariantSpec]:
        """All variants of a model and all LoRAs for it, by name."""
        return {one.name: one for one in (*self._models.variants(model_type), *self._models.loras(model_type))}

    def _plan_folder(self, variant: VariantSpec) -> tuple[DownloadPlan, ...]:
        report = self._models.describe(variant.model_type, variant.name)
        if report.owner:
            raise _lent(variant, str(report.path), report.owner)
        return (self._planned(variant, patterns_of(SPECS[variant.model_type].components)),)

    def plans_of_files(self, variant: VariantSpec) -> tuple[DownloadPlan, ...]:
        """What of a variant of single files is ours to have: none where other programs have it all."""
        lent = self._models.shelf.lent(variant)
        own = [glob.escape(variant.place_of(name)) for name in variant.files if name not in lent]
        plans = [self._planned(variant, own)] if own else []
        spec, official = SPECS[variant.model_type], self._models.known(variant.model_type, OFFICIAL)
        if self._needs(variant, self._models.place_to_fetch(spec)):
            rest = [name for name in rest_of(spec) if name in spec.components]
            plans.append(self._planned(official, (*patterns_of(rest), "transformer/config.json")))
        return tuple(plans)

    def _plan_files(self, variant: VariantSpec) -> tuple[DownloadPlan, ...]:
        if plans := self.plans_of_files(variant):
            return plans
        raise _lent(variant, "its folders", "other programs'")

    def _plan_lora(self, lora: VariantSpec) -> tuple[DownloadPlan, ...]:
        return (self._planned(lora, [glob.escape(lora.place_of(name)) for name in lora.files]),)

    def _needs(self, variant: VariantSpec, official: Path) -> bool:
        """Whether what its single files lack is nowhere, or is what was fetched into the official variant's folder."""
        donors = (self._models.shelf.donor(variant, name) for name in rest_of(SPECS[variant.model_type]))
        return any(donor is None or donor == official for donor in donors)

    def _planned(self, variant: VariantSpec, patterns: Iterable[str]) -> DownloadPlan:
        target = self._place_for(variant)
        listing = self.listing(variant, target)
        return make_plan(listing, choose(listing, patterns), target)

    def _place_for(self, variant: VariantSpec) -> Path:
        if variant.is_lora:
            return self._models.place_for_lora(variant)
        return self._models.place_to_fetch(SPECS[variant.model_type], variant.name)

    def wanted(self, variant: VariantSpec, component: str) -> WantedFile:
        """What the hub says of a single file. Raises DownloadFailed."""
        listing = self.listing(variant, self._place_for(variant))
        return choose(listing, [glob.escape(variant.place_of(component))]).files[0]

    def listing(self, variant: VariantSpec, target: Path) -> Listing:
        """The hub's, of the commit that the folder was begun with, so that no two are ever mixed; where the variant
        names another revision by now, of that one.

        Single files have the paths that they have on disk. Raises DownloadFailed.
        """
        repository = variant.repository or ""
        kept = find_manifest(target)
        begun = kept and kept.repository == repository and variant.revision in (kept.revision, kept.commit)
        revision = kept.commit if kept and begun else variant.revision
        return _renamed(Hub(self._hub(repository)).find_listing(revision, target), variant)

    def _hub(self, repository: str) -> HubSource:
        return HubSource(repository, self._settings.hub, self._settings.token)

    def _sources(self, listing: Listing, first: str | None, there: Mapping[str, str]) -> list[Source]:
        """In the order in which they are asked: another program's cache, the one that was named, the others."""
        repository = listing.repository
        cached = self._models.shelf.elsewhere.snapshot(repository, listing.commit)
        mirrors = [MirrorSource(repository, endpoint) for endpoint in self._settings.mirrors]
        folders = [_folder(said, repository) for said in self._settings.folders]
        all_of_them: list[Source] = [self._hub(repository), *mirrors, *folders]
        named = dict(zip(self.sources, all_of_them, strict=True))
        order = sorted(named, key=lambda name: name != first)  # which keeps the order of the others
        lent: list[Source] = [LocalFolder(cached)] if cached else []
        return [Renamed(source, there) for source in (*lent, *(named[name] for name in order))]


def patterns_of(components: Iterable[str]) -> tuple[str, ...]:
    """All that loading reads; examples and pictures of a repository are left."""
    return ("model_index.json", *(f"{component}/*" for component in components))


def _renamed(listing: Listing, variant: VariantSpec) -> Listing:
    """The listing with single files where they belong on disk. Raises DownloadFailed where one is another version."""
    ours = {file.path: variant.place_of(component) for component, file in variant.files.items()}
    files = tuple(replace(file, path=ours.get(file.path, file.path)) for file in listing.files)
    known = {variant.place_of(component): file for component, file in variant.files.items()}
    for file in files:
        if (named := known.get(file.path)) and (told := _difference(file, named)):
            raise DownloadFailed(
                f"{named.path} of {listing.repository} at {listing.commit} has {told}.",
                hint="Nothing was fetched. Correct size, sha256 or revision in the file that describes the variant.",
            )
    return replace(listing, files=files)


def _difference(file: WantedFile, named: SingleFile) -> str:
    """What the hub says of a file and the variant doesn't, with both; empty where they agree."""
    if named.size not in (None, file.size):
        return f"{file.size:,} bytes, and the variant says {named.size:,}"
    if named.sha256 not in (None, file.digest):
        return f"the sha256 {file.digest}, and the variant says {named.sha256}"
    return ""


def _lent(variant: VariantSpec, path: str, owner: str) -> WrongState:
    return WrongState(
        f"{variant.name} of {variant.model_type.value} is whole in {path}, {owner}, and used from there.",
        hint="To have a copy of its own, set models.use_hf_cache to false or leave models.comfyui_dirs empty.",
    )


def _folder(said: str, repository: str) -> Source:
    if said.lower().startswith(("http://", "https://")):
        return HttpFolder(f"{said.rstrip('/')}/{repository}")
    return LocalFolder(Path(os.path.expanduser(said)) / repository)  # noqa: PTH111 - which leaves a "~" that is nobody's

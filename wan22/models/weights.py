"""The real weights of a model as files: what to fetch and from where.

The fetching itself is `download`'s; whether what is on disk is right, `verification` tells. Asks the hub, so that calls
may take seconds.
"""

from __future__ import annotations

from pathlib import Path

from wan22.models.catalogue import SPECS, ModelSpec
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
    Source,
    choose,
    make_plan,
)
from wan22.models.download.manifest import find_manifest
from wan22.models.variants import Models
from wan22.settings import DownloadSettings
from wan22.tasks import ModelType


class Weights:
    """Plans and fetches the real weights in the models' folders."""

    def __init__(self, models: Models, settings: DownloadSettings) -> None:
        self._models = models
        self._settings = settings

    def plan(self, model_type: ModelType) -> DownloadPlan:
        """What is missing of a model. Raises DownloadFailed where neither the hub nor its folder can list the files."""
        spec = SPECS[model_type]
        target = self._models.place_to_fetch(spec)
        listing = self._listing(spec, target)
        return make_plan(listing, choose(listing, _patterns(spec)), target)

    def download(self, plan: DownloadPlan) -> Download:
        """A download of what is planned, ready to run. Raises DiskFull if it does not fit."""
        plan.refuse_what_does_not_fit()
        options = Options(
            parallel=self._settings.parallel,
            max_bytes_per_s=self._settings.max_bytes_per_s,
            stall_s=self._settings.stall_s,
        )
        return Download(plan, self._sources(plan.listing.repository), options)

    def _listing(self, spec: ModelSpec, target: Path) -> Listing:
        """The hub's, of the commit that the folder was begun with, so that no two are ever mixed."""
        kept = find_manifest(target)
        revision = kept.commit if kept and kept.repository == spec.repository else spec.revision
        return Hub(self._hub(spec.repository)).find_listing(revision, target)

    def _hub(self, repository: str) -> HubSource:
        return HubSource(repository, self._settings.hub, self._settings.token)

    def _sources(self, repository: str) -> list[Source]:
        """In the order in which they are asked."""
        mirrors = [MirrorSource(repository, endpoint) for endpoint in self._settings.mirrors]
        return [self._hub(repository), *mirrors, *(_folder(said, repository) for said in self._settings.folders)]


def _patterns(spec: ModelSpec) -> tuple[str, ...]:
    """All that loading reads; examples and pictures of a repository are left."""
    return ("model_index.json", *(f"{component}/*" for component in spec.components))


def _folder(said: str, repository: str) -> Source:
    if said.lower().startswith(("http://", "https://")):
        return HttpFolder(f"{said.rstrip('/')}/{repository}")
    return LocalFolder(Path(said).expanduser() / repository)

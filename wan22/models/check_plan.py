"""What a verification of a variant compares: its files, wherever they are, with the sizes and hashes that are known.

They come from the hub, from the conversion that made the files, or with the package. Of files that nobody has hashed,
the headers are all there is to look at. Reads no content: that is `verification`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wan22.errors import DownloadFailed, InvalidRequest, ModelCorrupt, ModelMissing, WrongState
from wan22.models import demo_weights, files, looks
from wan22.models.catalogue import SPECS, VariantSpec
from wan22.models.convert.sums import find_sums
from wan22.models.cures import FETCH_A_COPY, cure_of, mend_of
from wan22.models.download import DownloadPlan, WantedFile, choose
from wan22.models.download.names import is_fetched
from wan22.models.parts import Parts
from wan22.models.shelf import VariantReport
from wan22.models.specs import OFFICIAL
from wan22.models.verification import Check, Sought
from wan22.models.weights import Weights, patterns_of
from wan22.tasks import ModelType


@dataclass(frozen=True)
class CheckPlan:
    """The folders of a variant, each with what its files must be."""

    variant: VariantSpec
    sought: tuple[Sought, ...]
    obstacle: WrongState | None = None  # to a repair: what is wrong can't be fetched

    @property
    def target(self) -> Path:
        """The first folder."""
        return self.sought[0].folder

    @property
    def is_hashed(self) -> bool:
        """Whether the right hash of every file is known."""
        return all(one.is_hashed for one in self.sought)

    def refuse_repair(self) -> None:
        """Raises WrongState, with the cure, where a download can't mend the files."""
        if self.obstacle:
            raise self.obstacle


def plan_check(weights: Weights, model_type: ModelType, name: str = OFFICIAL, *, quick: bool = False) -> CheckPlan:
    """What to compare of a variant, or of a LoRA for the model.

    Raises InvalidRequest for one that is not known, ModelMissing for one that can't be fetched and is not whole, and
    DownloadFailed where the hub is needed and does not answer: for a quick look at weights that are whole it is not.
    """
    try:
        return _plan_check(weights, model_type, name)
    except DownloadFailed:
        report = weights.models.describe(model_type, name) if quick and name in weights.known(model_type) else None
        if report is None or report.parts is None:
            raise
        return _of_headers(weights.known(model_type)[name], report.parts)


def _plan_check(weights: Weights, model_type: ModelType, name: str) -> CheckPlan:
    known = weights.known(model_type)
    variant = known.get(name)
    if variant is None:
        raise InvalidRequest.of("variant", f"must be one of {', '.join(known)}", name)
    if variant.is_lora:
        return CheckPlan(variant, tuple(map(_of_download, weights.plan(model_type, name).plans)))
    report = weights.models.describe(model_type, name)
    if variant.repository is None:
        return _without_source(variant, report)
    if variant.layout == "files":
        return _of_files(weights, variant)
    if report.owner and report.path:
        sought = Sought(report.path, _listed(weights, variant, report.path), owner=report.owner)
        return CheckPlan(variant, (sought,), _lent(report.owner))
    return CheckPlan(variant, tuple(map(_of_download, weights.plan(model_type, name).plans)))


def refuse_what_is_lent(check: Check) -> None:
    """Raises ModelCorrupt, with the cure, after a repair that left what is wrong in another program's folder."""
    if lent := check.lent_wrong:
        raise ModelCorrupt(f"{lent[0].path} is wrong, and in a folder of another program.", hint=FETCH_A_COPY)


def _without_source(variant: VariantSpec, report: VariantReport) -> CheckPlan:
    if report.parts is None:
        raise ModelMissing(f"{report.why} {cure_of(variant)}")
    folder = report.parts.folder
    if variant.is_demo:
        shipped = replace(_of_sums(folder, demo_weights.sums_of(folder)), owner="the package")
        return CheckPlan(variant, (shipped,), _obstacle("come with the package", mend_of(variant, folder)))
    if sums := find_sums(folder):
        made = _obstacle("were made by a conversion", mend_of(variant, folder))
        return CheckPlan(variant, (_of_sums(folder, sums),), made)
    return _of_headers(variant, report.parts)


def _of_headers(variant: VariantSpec, parts: Parts) -> CheckPlan:
    places = [parts.place(name) for name in SPECS[variant.model_type].components]
    unknown = tuple(_with_headers_alone(places))
    return CheckPlan(variant, unknown, _obstacle("have no source", mend_of(variant, parts.folder)))


def _of_files(weights: Weights, variant: VariantSpec) -> CheckPlan:
    """Single files that are ours or another program's, with what they lack from the official repository."""
    own = [_of_download(plan) for plan in weights.plans_of_files(variant)]
    lent = weights.models.shelf.lent(variant)
    others = [
        Sought(one.path.parent, (replace(weights.wanted(variant, name), path=one.path.name),), owner=one.owner)
        for name, one in lent.items()
    ]
    owner = next((one.owner for one in lent.values()), None)
    return CheckPlan(variant, (*own, *others), _lent(owner) if owner and not own else None)


def _listed(weights: Weights, variant: VariantSpec, snapshot: Path) -> tuple[WantedFile, ...]:
    """What the hub says of the commit that Hugging Face's cache names a folder by."""
    listing = weights.listing(replace(variant, revision=snapshot.name), snapshot)
    return choose(listing, patterns_of(SPECS[variant.model_type].components)).files


def _of_download(plan: DownloadPlan) -> Sought:
    return Sought(plan.target, tuple(one.file for one in plan.files))


def _of_sums(folder: Path, sums: Mapping[str, str]) -> Sought:
    """Of files whose size is known from their hash alone: what is there has the right one until it is read."""
    return Sought(folder, tuple(WantedFile(path, files.size(folder / path), "sha256", sums[path]) for path in sums))


def _with_headers_alone(places: Iterable[Path]) -> Iterator[Sought]:
    for place in places:
        folder, found = (place.parent, [place]) if looks.is_file(place) else (place, looks.entries(place))
        wanted = (WantedFile(path.name, files.size(path), "sha256", "") for path in found if is_fetched(path.name))
        yield Sought(folder, tuple(wanted), is_hashed=False)


def _lent(owner: str) -> WrongState:
    return WrongState(
        f"These weights are in {owner}, where nothing is ever written.",
        hint=FETCH_A_COPY,
    )


def _obstacle(why: str, cure: str) -> WrongState:
    return WrongState(f"These weights {why}, so that nothing can be fetched for them.", hint=cure)

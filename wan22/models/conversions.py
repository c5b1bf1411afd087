"""Which folder a smaller variant of a model is made of, and where it goes. The making is `convert`'s."""

from __future__ import annotations

from pathlib import Path

from wan22.errors import ModelMissing
from wan22.models.convert import ConversionPlan, make_plan
from wan22.models.convert.layout import Kind
from wan22.models.cures import cure_of
from wan22.models.specs import OFFICIAL
from wan22.models.variants import DTYPE_BYTES, Models
from wan22.tasks import ModelType


def plan_conversion(models: Models, model_type: ModelType, kind: Kind) -> ConversionPlan:
    """The plan to make the variant `kind` of the widest weights that are whole on disk.

    Raises ModelMissing where there are none, and what `make_plan` raises.
    """
    source, owner = _source(models, model_type, kind)
    return make_plan(source, _target(models, model_type, kind, source.parent if owner is None else None), kind)


def _source(models: Models, model_type: ModelType, kind: Kind) -> tuple[Path, str | None]:
    """A folder in diffusers layout that is wider than what is to be made of it, and whose it is if not ours."""
    real = [one for one in models.variants(model_type) if one.layout == "folder" and not one.is_demo]
    wide = [one for one in real if DTYPE_BYTES.get(one.precision, 0) > DTYPE_BYTES[kind]]
    widest_first = sorted(wide, key=lambda one: -DTYPE_BYTES[one.precision])
    reports = (models.describe(model_type, one.name) for one in widest_first)
    ready = next(((report.path, report.owner) for report in reports if report.state == "ready" and report.path), None)
    if ready is None:
        told = models.describe(model_type, OFFICIAL).why
        raise ModelMissing(f"{told} {kind} is made of them. {cure_of(models.known(model_type, OFFICIAL))}")
    return ready


def _target(models: Models, model_type: ModelType, kind: Kind, beside: Path | None) -> Path:
    """Where it was begun, else beside the source where that is ours, else where models are looked for first."""
    known = models.known(model_type, kind)
    begun = models.shelf.own_folders(known)
    if begun:
        return begun[0]
    return beside / kind if beside else models.shelf.place_for(known)

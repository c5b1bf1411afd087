"""Which weights of a model are on disk and which are used: `dev`, the real ones, or `demo`, the small shipped ones.

Looks, and downloads, checks or loads nothing; what the demo weights are is in `demo_weights`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wan22.errors import ModelMissing
from wan22.models import demo_weights, files
from wan22.models.catalogue import DEMO_NATIVE_AREA, SPECS, Defaults, ModelSpec
from wan22.models.rules import model_type_of
from wan22.settings import ModelsSettings
from wan22.tasks import Draft, ModelType

DTYPE_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}

VariantName = Literal["dev", "demo"]


@dataclass(frozen=True)
class Variant:
    """One set of weights of a model, with what differs for it from the model's own figures."""

    spec: ModelSpec
    name: VariantName
    path: Path
    native_area: int | None  # pixels that larger sizes are rendered near to; None: any size is rendered as asked
    defaults: Defaults
    why: str = ""  # it is used and not the other one, in words for people


@dataclass(frozen=True)
class VariantReport:
    """How the real weights of a model stand: `why` is for people, `missing` names paths inside `path`."""

    state: Literal["ready", "partial", "missing"]
    why: str
    path: Path | None = None
    missing: tuple[str, ...] = ()


class Models:
    """The models' folders. Every call looks at the disk again, so that weights may arrive while the server runs."""

    def __init__(self, settings: ModelsSettings, home_models: Path, *, demos: Path = demo_weights.SHIPPED) -> None:
        self._wanted = settings.variant
        self._roots = (*settings.models_dirs, home_models)
        self._demos = demos

    def get(self, model_type: ModelType) -> Variant:
        """The variant to use by the settings. Raises ModelMissing where only `dev` is allowed and it is not whole."""
        if self._wanted == "demo":
            return self._demo(SPECS[model_type], f"The setting models.variant is demo. {demo_weights.ABOUT}")
        report = self.describe(model_type)
        if report.state == "ready" or self._wanted == "dev":
            return self._dev(SPECS[model_type], report)
        return self._demo(SPECS[model_type], f"{report.why} {demo_weights.ABOUT}")

    def for_draft(self, draft: Draft) -> Variant:
        """The variant of the model that the draft names. Raises InvalidRequest with all three where it names none."""
        return self.get(model_type_of(draft))

    def named(self, model_type: ModelType, name: str) -> Variant:
        """The variant of that name, as a plan made earlier has it. Raises ModelMissing if `dev` is no longer whole."""
        if name == "dev":
            return self._dev(SPECS[model_type], self.describe(model_type))
        return self._demo(SPECS[model_type], "It was planned so.")

    def describe(self, model_type: ModelType) -> VariantReport:
        """How the real weights stand: the first whole folder, else the first that is there in part."""
        spec = SPECS[model_type]
        partial = None
        for path in self._folders(spec):
            missing = files.missing_files(path, spec.components)
            if not missing:
                return VariantReport("ready", f"The real weights of {model_type.value} are in {path}.", path)
            partial = partial or VariantReport("partial", _partial(model_type, path, missing), path, missing)
        searched = ", ".join(str(root) for root in self._roots)
        why = f"The real weights of {model_type.value} are not on disk: no folder {spec.slug}/dev in {searched}."
        return partial or VariantReport("missing", why)

    def weights_bytes(self, variant: Variant) -> int:
        """Bytes of the variant's weights on disk, all components."""
        return files.weights_bytes(variant.path)

    def loaded_bytes(self, variant: Variant, precision: Mapping[str, str]) -> int:
        """Bytes of the variant's weights once loaded with these dtypes (transformer, text_encoder, vae)."""
        counts = files.parameters(variant.path)
        return sum(count * DTYPE_BYTES[precision[name.removesuffix("_2")]] for name, count in counts.items())

    def place_for(self, spec: ModelSpec) -> Path:
        """The folder where the real weights are looked for first, whether it is there or not."""
        return self._roots[0] / spec.slug / "dev"

    def place_to_fetch(self, spec: ModelSpec) -> Path:
        """Where its real weights are, whole or in part, else where they are looked for first."""
        return self.describe(spec.model_type).path or self.place_for(spec)

    def _dev(self, spec: ModelSpec, report: VariantReport) -> Variant:
        if report.state != "ready" or report.path is None:
            raise ModelMissing(f"{report.why} {self._cure(spec)}")
        return Variant(spec, "dev", report.path, native_area=None, defaults=spec.defaults, why=report.why)

    def _demo(self, spec: ModelSpec, why: str) -> Variant:
        path = self._demos / spec.slug
        return Variant(spec, "demo", path, native_area=DEMO_NATIVE_AREA, defaults=spec.demo_defaults, why=why)

    def _folders(self, spec: ModelSpec) -> list[Path]:
        places = (files.child(files.child(root, spec.slug), "dev") for root in self._roots)
        return [path for path in places if path.is_dir()]

    def _cure(self, spec: ModelSpec) -> str:
        return (
            f"Run `wan22 models download {spec.model_type.value.lower()}`, or set models.variant to auto for the demo "
            "weights."
        )


def _partial(model_type: ModelType, path: Path, missing: tuple[str, ...]) -> str:
    named = ", ".join(missing[:3])
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return f"The real weights of {model_type.value} in {path} are not whole: missing {named}{more}."

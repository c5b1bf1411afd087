"""Which weights of a model are used: the best that are whole on disk, the ones that were asked for, or the demo's.

What is on disk, `shelf` finds; what the demo weights are is in `demo_weights`. Downloads, checks and loads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from wan22.errors import ConfigurationError, ModelCorrupt, ModelMissing
from wan22.models import demo_weights, files, looks
from wan22.models.catalogue import SPECS, Defaults, ModelSpec, VariantSpec, variants_with
from wan22.models.catalogue_file import Variants
from wan22.models.cures import cure_of, mend_of
from wan22.models.elsewhere import Elsewhere
from wan22.models.needs import EIGHT_BIT_BYTES
from wan22.models.parts import Parts
from wan22.models.rules import model_type_of
from wan22.models.shelf import Shelf, VariantReport
from wan22.models.specs import DEMO, OFFICIAL
from wan22.settings import ModelsSettings
from wan22.tasks import Draft, ModelType
from wan22.tasks.request import EIGHT_BITS

__all__ = ["DTYPE_BYTES", "Models", "Variant", "VariantReport"]

DTYPE_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "int8": EIGHT_BIT_BYTES, "fp8": EIGHT_BIT_BYTES}


@dataclass(frozen=True)
class Variant:
    """One set of weights of a model on disk, with what differs for it from the model's own figures."""

    spec: ModelSpec
    name: str
    path: Path  # of what is the variant's own
    native_area: int | None  # pixels that larger sizes are rendered near to; None: any size is rendered as asked
    defaults: Defaults
    why: str = ""  # it is used and not another one, in words for people
    parts: Parts = field(default_factory=lambda: Parts(Path()))
    precision: str = ""  # of the transformers on disk
    mend: str = ""  # how to get files of it right again that are damaged

    @property
    def is_demo(self) -> bool:
        """True for the small weights that ship with the package."""
        return self.name == DEMO

    @property
    def stored(self) -> str | None:
        """int8 or fp8 where the transformers lie in these 8 bits as they are used; None where any dtype can be made.

        ComfyUI's fp8 can be widened, since it is read by our own hand.
        """
        return self.precision if self.precision in EIGHT_BITS and self.parts.config is None else None

    def transformer_config(self) -> Mapping[str, object]:
        """The config.json of its transformers. Raises ModelCorrupt if it can't be read."""
        path = self.parts.place("transformer") / "config.json"
        config = self.parts.config or files.read_json(path)
        if config is None:
            raise ModelCorrupt(f"{path} can't be read. Put it there again, as it is in its repository.")
        return config


class Models:
    """The models' folders. Every call looks at the disk again, so that weights may arrive while the server runs.

    Raises ConfigurationError where a file in `variants` beside `home_models` is wrong, or models.variant is no name.
    """

    def __init__(self, settings: ModelsSettings, home_models: Path, *, demos: Path = demo_weights.SHIPPED) -> None:
        known = variants_with(home_models.parent / "variants")
        self._known = _those(known, is_lora=False)
        self._loras = _those(known, is_lora=True)
        self._loras_dir = home_models.parent / "loras"
        self._wanted = self._checked(settings.variant)
        roots = (*settings.models_dirs, home_models)
        elsewhere = Elsewhere(hf_cache=settings.use_hf_cache, comfyui_dirs=settings.comfyui_dirs)
        self.shelf = Shelf(roots, demos, self._known, elsewhere)

    def variants(self, model_type: ModelType) -> tuple[VariantSpec, ...]:
        """All weights that are known of a model, the ones that auto prefers first."""
        return tuple(self._known[model_type].values())

    def loras(self, model_type: ModelType) -> tuple[VariantSpec, ...]:
        """The LoRAs for a model that can be fetched."""
        return tuple(self._loras[model_type].values())

    def describe_lora(self, lora: VariantSpec) -> VariantReport:
        """How one of `loras` stands in the folder that a download puts it into."""
        folder = self.place_for_lora(lora)
        missing = tuple(path for path in map(lora.place_of, lora.files) if not looks.is_file(files.child(folder, path)))
        if not missing:
            return VariantReport("ready", f"{lora.name} is in {folder}.", folder, name=lora.name)
        lacks = f"{folder} lacks {', '.join(missing)}."
        if looks.is_dir(folder):
            return VariantReport("partial", lacks, folder, missing, lora.name)
        return VariantReport("missing", lacks, name=lora.name)

    def place_for_lora(self, lora: VariantSpec) -> Path:
        """The folder that a download puts one of `loras` into."""
        return self._loras_dir / SPECS[lora.model_type].slug / lora.name

    def known(self, model_type: ModelType, name: str) -> VariantSpec:
        """The variant of that name, on disk or not. Raises ModelMissing that lists the names."""
        if found := self._known[model_type].get(name):
            return found
        names = ", ".join(self._known[model_type])
        raise ModelMissing(f"{model_type.value} has no variant {name!r:.60}; it has {names}. Name one of these.")

    def get(self, model_type: ModelType) -> Variant:
        """The variant to use by the settings: real weights that are whole before the demo's.

        Raises ModelMissing where only one is allowed and it is not whole; and ModelCorrupt where a verification found
        files wrong that are still the same, of that one, or of the only real ones.
        """
        if self._wanted == DEMO:
            return self._demo(model_type, f"The setting models.variant is demo. {demo_weights.about(model_type)}")
        if self._wanted != "auto":
            return self.named(model_type, self._wanted)
        report = self.describe(model_type)
        if report.state in ("ready", "corrupt"):
            return self._real(model_type, report)
        return self._demo(model_type, f"{report.why} {demo_weights.about(model_type)}")

    def for_draft(self, draft: Draft) -> Variant:
        """The variant to use for the draft's model: where 8 bits are asked for, one that is kept in them, if there is.

        Raises InvalidRequest with all three models where it names none, and ModelMissing and ModelCorrupt as `get`.
        """
        model_type = model_type_of(draft)
        return self._kept_in(draft.quantization, model_type) or self.get(model_type)

    def named(self, model_type: ModelType, name: str) -> Variant:
        """The variant of that name, as a plan made earlier has it.

        Raises ModelMissing if it is not whole any more, ModelCorrupt as `get`.
        """
        if name == DEMO:
            return self._demo(model_type, "It was planned so.")
        report = self.describe(model_type, name)
        if report.state not in ("ready", "corrupt"):
            raise ModelMissing(f"{report.why} {self._cure(model_type, name)}")
        return self._real(model_type, report)

    def describe(self, model_type: ModelType, name: str | None = None) -> VariantReport:
        """How the variant of that name stands; without one, the first real one that is ready, else the first that is
        corrupt, else `dev`. What is ready says which one before it is corrupt.

        Raises ModelMissing for a name that is none.
        """
        if name is not None:
            return self.shelf.look(self.known(model_type, name))
        corrupt = None
        for variant in self.variants(model_type):
            report = self.shelf.look(variant)
            if report.state == "ready" and not variant.is_demo:
                return replace(report, why=f"{report.why} {corrupt.why}") if corrupt else report
            if report.state == "corrupt":
                corrupt = corrupt or report
        return corrupt or self.describe(model_type, OFFICIAL)

    def in_use(self, model_type: ModelType) -> str:
        """The name of the real variant that is whole and preferred, else the official one's."""
        return self.describe(model_type).name

    def weights_bytes(self, variant: Variant) -> int:
        """Bytes of the variant's weights on disk, all components."""
        return variant.parts.weights_bytes(variant.spec.components)

    def loaded_bytes(self, variant: Variant, precision: Mapping[str, str]) -> int:
        """Bytes of the variant's weights once loaded with these dtypes (transformer, text_encoder, vae)."""
        width = {part: DTYPE_BYTES[name] for part, name in precision.items()}
        return variant.parts.loaded_bytes(variant.spec.components, width)

    def place_for(self, spec: ModelSpec, name: str = OFFICIAL) -> Path:
        """The folder where a variant is looked for first, whether it is there or not."""
        return self.shelf.place_for(self.known(spec.model_type, name))

    def place_to_fetch(self, spec: ModelSpec, name: str = OFFICIAL) -> Path:
        """Where a variant is among our own folders, whole or in part, else where it is looked for first."""
        report = self.describe(spec.model_type, name)
        own = self.shelf.own_folders(self.known(spec.model_type, name))
        if report.path in own and report.path:
            return report.path
        return own[0] if own else self.place_for(spec, name)

    def _kept_in(self, asked: str | None, model_type: ModelType) -> Variant | None:
        """The variant in diffusers layout that is kept in the asked 8 bits, if it is whole and any is allowed."""
        if self._wanted != "auto" or asked not in EIGHT_BITS:
            return None
        named = (one for one in self.variants(model_type) if (one.layout, one.precision) == ("folder", asked))
        reports = (self.shelf.look(one) for one in named)
        ready = next((report for report in reports if report.state == "ready"), None)
        return self._real(model_type, ready) if ready else None

    def _real(self, model_type: ModelType, report: VariantReport) -> Variant:
        found = self._variant(self.known(model_type, report.name), report, report.why)
        if report.state == "corrupt":
            raise ModelCorrupt(report.fault, hint=f"{found.mend} Then send it again.")
        return found

    def _demo(self, model_type: ModelType, why: str) -> Variant:
        variant = self.known(model_type, DEMO)
        return self._variant(variant, self.shelf.look(variant), why)

    def _variant(self, known: VariantSpec, report: VariantReport, why: str) -> Variant:
        if report.parts is None or report.path is None:
            raise ModelMissing(f"{report.why} {self._cure(known.model_type, known.name)}")
        return Variant(
            SPECS[known.model_type],
            known.name,
            report.path,
            known.native_area,
            known.defaults,
            why,
            parts=report.parts,
            precision=known.precision,
            mend=mend_of(known, report.path, report.owner),
        )

    def _cure(self, model_type: ModelType, name: str) -> str:
        demo = "" if self._wanted == "auto" else ", or set models.variant to auto for what is there"
        return f"{cure_of(self.known(model_type, name))[:-1]}{demo}."

    def _checked(self, wanted: str) -> str:
        names = dict.fromkeys(["auto", *(name for known in self._known.values() for name in known)])
        if wanted not in names:
            raise ConfigurationError(
                f"The setting models.variant can't be used: {wanted!r:.60} is none of {', '.join(names)}. Correct it "
                "where it was set: in --variant, or among the settings."
            )
        return wanted


def _those(known: Variants, *, is_lora: bool) -> Variants:
    """The LoRAs, or all but those."""
    return {
        model_type: {name: variant for name, variant in variants.items() if variant.is_lora == is_lora}
        for model_type, variants in known.items()
    }

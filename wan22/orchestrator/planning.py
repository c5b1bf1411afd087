"""Turns what a caller said into a request and a plan, with the reason of every choice. Loads nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from wan22.errors import FieldError, InvalidRequest
from wan22.hardware.choose import (
    Precision,
    choose_device,
    choose_precision,
    eight_bit_obstacle,
    gpu_of,
)
from wan22.hardware.machine import Machine
from wan22.models.catalogue import SPECS
from wan22.models.cost import tokens_of
from wan22.models.geometry import render_for
from wan22.models.loras.fit import transformer_of
from wan22.models.loras.folders import Loras
from wan22.models.loras.uses import choice_of, errors_of
from wan22.models.presets import render_area, with_preset
from wan22.models.resolve import resolve
from wan22.models.size import nearest_size
from wan22.models.step_cache import step_cache_of
from wan22.models.variants import DTYPE_BYTES, Models, Variant
from wan22.orchestrator.batching import Batching, choose_batch
from wan22.orchestrator.fitting import fitted
from wan22.orchestrator.forecasting import Where, forecast
from wan22.orchestrator.kernels import with_kernels
from wan22.orchestrator.optimizations.applied import applied, idle_in, unknown_in, with_named
from wan22.orchestrator.placing import Weights
from wan22.settings import DeviceSettings
from wan22.tasks import Choice, Draft, Forecast, ImageRef, LoraUse, ModelType, Phase, Plan, Request, Seen
from wan22.tasks.request import EIGHT_BITS

SEED_BITS = 32
"""Of a seed that we pick: short enough to read aloud, and in every other program's range."""

_ANY_IMAGE = ImageRef(id="upl_" + "0" * 32, width=1280, height=720)


class Planner:
    """Plans requests for one machine; looks only at what `probe` says and at which weights are on disk.

    `ours` tells how much of a device's memory this process holds, and can give back; `correction` what runs like a plan
    needed of the GPU's memory, by what was counted.
    """

    def __init__(
        self,
        models: Models,
        settings: DeviceSettings,
        probe: Callable[[], Machine],
        *,
        loras: Loras | None = None,
        ours: Callable[[str], int] = lambda device: 0,
        correction: Callable[[Plan], float] = lambda plan: 1.0,
    ) -> None:
        self._models = models
        self._settings = settings
        self._probe = probe
        self._loras = loras or Loras(())
        self._ours = ours
        self._correction = correction

    def prepare(
        self,
        draft: Draft,
        *,
        image: ImageRef | None = None,
        last_image: ImageRef | None = None,
        choose_model: bool = False,
        must_fit: bool = True,
    ) -> tuple[Request, Plan]:
        """The request with every default filled in, and how it will be done.

        `choose_model`: a model that the draft leaves out is chosen from the inputs, and is the plan's first choice.
        `must_fit`: what would run out of memory is refused, with the nearest that would not.
        Raises InvalidRequest naming each wrong field, ModelMissing if the asked-for weights are not on disk, and
        ConfigurationError if the configured device is not there.
        """
        choice = _model_for(image, last_image) if choose_model and draft.model_type is None else None
        if choice:
            draft = draft.model_copy(update={"model_type": ModelType(choice.choice)})
        draft = with_named(draft)
        variant = self._models.for_draft(draft)
        draft, preset = with_preset(draft, variant, self._loras)
        wrong = [*unknown_in(draft), *self._wrong_loras(draft.loras or (), variant)]
        request = resolve(draft, variant, image=image, last_image=last_image, pick_seed=_pick_seed, wrong=wrong)
        plan = self._fitting(request, variant, must_fit=must_fit)
        if idle := idle_in(request.optimizations, plan):
            raise InvalidRequest(idle)
        first = tuple(one for one in (choice, preset) if one)
        return request, plan.model_copy(update={"choices": (*first, *plan.choices)})

    def again(self, request: Request) -> Plan:
        """The plan, on this machine and with the weights of now, of a request that was accepted before.

        Raises as `prepare` does.
        """
        draft = Draft(model_type=request.model_type, quantization=request.quantization)
        return self._fitting(request, self._models.for_draft(draft), must_fit=True)

    def _fitting(self, request: Request, variant: Variant, *, must_fit: bool) -> Plan:
        """The fastest plan that fits."""
        plan, foretold = self._fitted(request, variant)
        if must_fit and foretold.fits == "no":
            raise self._too_large(request, variant, foretold)
        predicted: dict[str, Any] = {
            "predicted_peak_vram_bytes": foretold.peak_vram_bytes,
            "vram_correction": self._correction(plan),
        }
        predicted["optimizations"] = applied(request, plan, self._probe())
        return plan.model_copy(update=predicted)

    def _fitted(self, request: Request, variant: Variant) -> tuple[Plan, Forecast]:
        machine = self._probe()
        plan = self._precise(request, variant, machine)
        weights, where = _weights(variant, plan), self._where(machine, plan)
        narrow = "int8" if _can_be_narrower(plan, variant) else None
        plan = with_kernels(fitted(request, plan, weights, where, narrow=narrow), machine, self._settings)
        lora_choices = self._lora_choices(request.loras, variant)
        plan = plan.model_copy(update={"choices": (*plan.choices, *lora_choices)})
        plan = self._in_batches(request, plan, where, weights)
        return plan, forecast(request, plan, where, weights)

    def _where(self, machine: Machine, plan: Plan) -> Where:
        return Where(machine, self._settings.vram_reserve_bytes, self._ours(plan.device), self._correction)

    def default(self, model_type: ModelType) -> Plan:
        """The plan of a task that names this model and leaves all else out. Raises as `prepare` does."""
        image = _ANY_IMAGE if SPECS[model_type].takes_image == "always" else None
        return self.prepare(Draft(model_type=model_type, prompt="anything"), image=image, must_fit=False)[1]

    def forecast(self, request: Request, plan: Plan, seen: Seen | None = None) -> Forecast:
        """What the plan will take; `seen`: the seconds of its parts, where such work has been done here.

        Raises ModelMissing and ModelCorrupt where the weights have gone since.
        """
        variant = self._models.named(request.model_type, plan.variant)
        return forecast(request, plan, self._where(self._probe(), plan), _weights(variant, plan), seen=seen)

    def _precise(self, request: Request, variant: Variant, machine: Machine) -> Plan:
        """The plan before it is looked at what fits.

        Raises InvalidRequest where the precision of `request` is none that these weights or this machine can have.
        """
        device = choose_device(machine, self._settings.device)
        asked = request.quantization or variant.stored or self._asked_precision()
        precision = choose_precision(machine, device, asked)
        if obstacle := _kept_otherwise(variant, precision) or eight_bit_obstacle(precision, device):
            raise InvalidRequest.of("quantization", obstacle, request.quantization)
        step_cache, step_cache_choices = step_cache_of(request, variant)
        return Plan(
            variant=variant.name,
            model_files=f"{variant.spec.slug}/{variant.name}",
            device=device,
            precision=precision.dtypes,
            compute=precision.compute,
            step_cache=step_cache,
            offload="none",
            render=render_for(
                width=request.width,
                height=request.height,
                num_frames=request.num_frames,
                spec=variant.spec,
                native_area=render_area(request, variant.native_area),
                keep_last=request.last_image is not None,
            ),
            choices=(
                Choice(what="variant", choice=variant.name, why=variant.why),
                Choice(what="device", choice=device, why=_device_why(machine, self._settings.device, device)),
                Choice(what="precision", choice=precision.transformer, why=precision.why),
                *step_cache_choices,
            ),
        )

    def _in_batches(self, request: Request, plan: Plan, where: Where, weights: Weights) -> Plan:
        """The same with as many videos denoised together as pays, of this request or of others alike."""

        def foretold(count: int) -> Forecast:
            many = request.model_copy(update={"num_videos": count})
            return forecast(many, plan.model_copy(update={"at_once": count}), where, weights)

        def video_s(count: int) -> float | None:
            (seconds,) = (one.seconds for one in foretold(count).phases if one.phase is Phase.DENOISE)
            return None if seconds is None else seconds / count

        at_once, choice = choose_batch(
            Batching(
                tokens=tokens_of(SPECS[request.model_type], plan.render),
                most=self._most_at_once(request, plan),
                video_s=video_s,
                fits=lambda count: foretold(count).fits == "yes",
            )
        )
        return plan.model_copy(update={"at_once": at_once, "choices": (*plan.choices, choice)})

    def _most_at_once(self, request: Request, plan: Plan) -> int:
        """A step cache decides what is spared by all that is in a pass, so that each would depend on the others."""
        is_free = request.enable_optimization and plan.step_cache is None
        return self._settings.max_batch if is_free else 1

    def _too_large(self, request: Request, variant: Variant, foretold: Forecast) -> InvalidRequest:
        """What is said of a request that can't fit: fewer frames if that is enough, else a smaller size, if that is."""
        for smaller, cure in _smaller(request):
            if self._fitted(smaller, variant)[1].fits != "no":
                field = "num_frames" if smaller.num_frames < request.num_frames else "width"
                return InvalidRequest.of(field, f"{foretold.said} {cure}", getattr(request, field))
        cure = self._cure_of_weights(request, variant, foretold)
        return InvalidRequest.of("model_type", f"{foretold.said} {cure}", request.model_type.value)

    def _cure_of_weights(self, request: Request, variant: Variant, foretold: Forecast) -> str:
        """What is said where even a small picture does not fit, for the weights alone are too large."""
        narrow = request.model_copy(update={"quantization": "int8"})
        if request.quantization not in EIGHT_BITS:
            with suppress(InvalidRequest):  # where int8 can't be had
                if self._fitted(narrow, variant)[1].fits != "no":
                    return "Ask for quantization int8."
        if request.model_type is not ModelType.TI2V_5B:
            return "Ask for TI2V-5B, the smallest model."
        return "Set models.variant to demo for weights that suit any machine."

    def _wrong_loras(self, uses: Sequence[LoraUse], variant: Variant) -> list[FieldError]:
        return list(errors_of(uses, self._loras, transformer_of(variant))) if uses else []

    def _lora_choices(self, uses: Sequence[LoraUse], variant: Variant) -> list[Choice]:
        if not uses:
            return []
        transformer = transformer_of(variant)
        return [choice_of(use, self._loras.get(use.name), transformer) for use in uses]

    def _asked_precision(self) -> str | None:
        return None if self._settings.precision == "auto" else self._settings.precision


def _model_for(image: ImageRef | None, last_image: ImageRef | None) -> Choice:
    """The model for what there is to begin with; the two A14B, as Wan's best."""
    if last_image is not None:
        return Choice(what="model", choice=ModelType.I2V_A14B.value, why="it is the one that takes a last image")
    if image is not None:
        return Choice(what="model", choice=ModelType.I2V_A14B.value, why="there is an image to begin with")
    return Choice(what="model", choice=ModelType.T2V_A14B.value, why="there is a text and no image")


def _smaller(request: Request) -> Iterator[tuple[Request, str]]:
    """Requests for less, the nearest first, each with the words that ask for it."""
    for frames in range((request.num_frames - 2) // 4 * 4 + 1, 0, -4):
        yield request.model_copy(update={"num_frames": frames}), f"Ask for {frames} frame{'s' if frames > 1 else ''}."
    for share in (0.75, 0.5, 0.25):
        width, height = nearest_size(round(share * request.width), round(share * request.height))
        yield request.model_copy(update={"width": width, "height": height}), f"Ask for {width}x{height}."


def _weights(variant: Variant, plan: Plan) -> Weights:
    """Of the variant, as the plan has them in memory."""
    spec, width = variant.spec, {part: DTYPE_BYTES[name] for part, name in plan.precision.items()}
    text_encoder, transformers, vae = (
        variant.parts.loaded_bytes(names, width) for names in (("text_encoder",), spec.transformers, ("vae",))
    )
    return Weights(text_encoder, transformers, len(spec.transformers), vae, spec.transformer["num_layers"])


def _can_be_narrower(plan: Plan, variant: Variant) -> bool:
    """Whether the transformers are of 16 bits, and could be had in int8."""
    narrow = Precision("int8", plan.precision["text_encoder"], plan.precision["vae"], "", plan.compute or "")
    is_wide = plan.precision["transformer"] in ("bf16", "fp16")
    return is_wide and not (_kept_otherwise(variant, narrow) or eight_bit_obstacle(narrow, plan.device))


def _kept_otherwise(variant: Variant, precision: Precision) -> str | None:
    """Why the transformers' weights, as they lie on disk, can't be had in that precision; None where they can."""
    if variant.stored not in (None, precision.transformer):
        return f"the weights in use are kept in {variant.stored}: leave it out, or set models.variant to others."
    if variant.precision.startswith("gguf") and precision.transformer in EIGHT_BITS:
        return f"the weights in use ({variant.name}) stay in the bits that they have: leave it out."
    return None


def _pick_seed() -> int:
    return secrets.randbits(SEED_BITS)


def _device_why(machine: Machine, setting: str, device: str) -> str:
    if setting != "auto":
        return "the setting device.device says so"
    if gpu := gpu_of(machine, device):
        return f"{gpu.name} is there and torch can use it"
    if machine.gpus:
        return f"{machine.gpus[0].name} is there, but the installed torch is a CPU build"
    return "Apple's GPU is there" if device == "mps" else "no GPU that torch can use was found"

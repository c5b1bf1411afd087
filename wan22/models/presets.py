"""What a preset stands for: how many steps, of what size, with or without a few-step LoRA.

`best` is the model's own way, `balanced` half of its steps, `fast` a few-step LoRA out of the folders, sampled in the
way that it was distilled for, and `draft` a quarter of the steps on a quarter of the pixels, enlarged to what was
asked. Everything that the caller sends beside it wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from wan22.errors import InvalidRequest
from wan22.models.catalogue import VARIANTS
from wan22.models.loras.fit import Transformer, fits, transformer_of
from wan22.models.loras.folders import Lora, Loras
from wan22.models.specs import FEW_STEP
from wan22.models.variants import Variant
from wan22.tasks import Choice, Draft, LoraUse, ModelType, Request

# Shift by steps: 4 as in LightX2V's configs/distill/wan22 (timesteps 1000, 937, 833, 625), 3 as Wan2GP runs FastWan,
# which was distilled with fresh noise at each of its steps (1000, 757, 522) and not with plain ones.
_SHIFTS = {4: 5.0, 3: 3.0}
_OTHER_SHIFT = 5.0
_MODEL_WORD = re.compile(r"(?<![a-z])(?:ti2v|t2v|i2v)", re.IGNORECASE)


STEPS_SHARES = {"best": 1.0, "balanced": 0.5, "draft": 0.25}
"""Half of 40 is what the templates of ComfyUI sample both A14B with."""

LEAST_STEPS = 4  # with fewer, a model that was not distilled for it shows little

DRAFT_AREA = 0.25
"""Of the asked pixels, that a draft renders: attention alone then takes a sixteenth."""

_LEAST_AREA = 256 * 144  # under which the real models show nothing


def with_preset(draft: Draft, variant: Variant, loras: Loras) -> tuple[Draft, Choice | None]:
    """The draft with what its preset fills in, and the reason; as it is where it names none. Raises InvalidRequest."""
    if draft.preset is None:
        return draft, None
    if draft.preset == "fast":
        return _with_fast(draft, variant, loras)
    steps = max(LEAST_STEPS, round(STEPS_SHARES[draft.preset] * variant.defaults.steps))
    smaller = ", on a quarter of the pixels" if variant.native_area is None else ""
    why = {
        "best": f"all {steps} steps of the model's own",
        "balanced": f"{steps} steps of the model's {variant.defaults.steps}: about as good in half the time",
        "draft": f"{steps} steps of {variant.defaults.steps}{smaller}: to see what becomes of it",
    }[draft.preset]
    changed = draft if draft.steps is not None else draft.model_copy(update={"steps": steps})
    return changed, Choice(what="preset", choice=draft.preset, why=why)


def render_area(request: Request, native_area: int | None) -> int | None:
    """Pixels near which the request is rendered and then enlarged; None: as asked.

    `native_area`: of the weights, where they are enlarged in any case, and drafts are no smaller.
    """
    if request.preset != "draft" or native_area is not None:
        return native_area
    return max(int(DRAFT_AREA * request.width * request.height), _LEAST_AREA)


def _with_fast(draft: Draft, variant: Variant, loras: Loras) -> tuple[Draft, Choice]:
    """Raises InvalidRequest if no such LoRA is there."""
    known = loras.scan()
    named = [known[use.name] for use in draft.loras or () if use.name in known]
    lora = next((lora for lora in named if lora.few_step), None) or _best(draft, variant, loras)
    steps = lora.few_step or 0
    filled: dict[str, Any] = {"steps": steps, "guidance_scale": 1.0, "flow_shift": _SHIFTS.get(steps, _OTHER_SHIFT)}
    if lora not in named:
        filled["loras"] = (*(draft.loras or ()), LoraUse(name=lora.name))
    sent = {name for name in ("steps", "guidance_scale", "flow_shift") if getattr(draft, name) is not None}
    changed = draft.model_copy(update={name: value for name, value in filled.items() if name not in sent})
    why = f"{lora.name} was distilled for {steps} steps without guidance"
    return changed, Choice(what="preset", choice="fast", why=why)


def _best(draft: Draft, variant: Variant, loras: Loras) -> Lora:
    """The last by name of those that fit, pairs first: versions are numbered upwards."""
    model = variant.spec.model_type
    found = sorted(_candidates(model, loras, transformer_of(variant)), key=lambda one: (len(one.files), one.name))
    if found:
        return found[-1]
    what = f"the demo weights of {model.value}" if variant.is_demo else model.value
    cure = "leave preset out" if variant.is_demo else _to_fetch(model)
    raise InvalidRequest.of("preset", f"There is no few-step LoRA for {what}; {cure}.", draft.preset)


def _to_fetch(model: ModelType) -> str:
    names = " and ".join(file.name for file in VARIANTS[model][FEW_STEP].files.values())
    return f"`wan22 models download {model.value.lower()} --variant {FEW_STEP}` fetches {names}"


def _candidates(model: ModelType, loras: Loras, transformer: Transformer) -> Iterator[Lora]:
    """Few-step LoRAs that fit and whose names speak of no other model: the sizes of the two A14B are the same.

    No half of a pair: the other expert can't do its share in so few steps without one.
    """
    for lora in loras.scan().values():
        if transformer.experts > 1 and lora.single is None and not (lora.high and lora.low):
            continue
        words = {word.lower() for word in _MODEL_WORD.findall(lora.name)}
        own = model.value.partition("-")[0].lower()
        if lora.few_step and words <= {own} and fits(lora, transformer) is None:
            yield lora

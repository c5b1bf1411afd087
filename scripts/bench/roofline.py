"""Writes docs/roofline.md: what the planner foretells for an RTX 4080, beside the times that were once expected of it.

    python scripts/bench/roofline.py

Nothing is measured: the page is the cost model on paper, with its assumptions. A test holds that it is up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "scripts" / "bench"), str(ROOT)]

from wan22.hardware.cards import card_named  # noqa: E402 - found through the line above
from wan22.hardware.choose import GIB  # noqa: E402 - as above
from wan22.hardware.machine import Gpu, Machine  # noqa: E402 - as above
from wan22.models.catalogue import SPECS  # noqa: E402 - as above
from wan22.models.cost import tokens_of  # noqa: E402 - as above
from wan22.models.needs import render_of  # noqa: E402 - as above
from wan22.models.presets import STEPS_SHARES  # noqa: E402 - as above
from wan22.orchestrator.fitting import fitted  # noqa: E402 - as above
from wan22.orchestrator.forecasting import Where, forecast  # noqa: E402 - as above
from wan22.orchestrator.placing import Weights  # noqa: E402 - as above
from wan22.tasks import Forecast, ImageRef, ModelType, Phase, Plan, Request  # noqa: E402 - as above

PAGE = ROOT / "docs" / "roofline.md"
GPU = Gpu(0, "NVIDIA GeForce RTX 4080", 16_376 * 2**20, 16_376 * 2**20, (8, 9), pcie=(4, 16))
MACHINE = Machine("Windows 10", "AMD Ryzen Threadripper PRO 5995WX", 128, 128 * 2**30, 128 * 2**30, (GPU,))
RESERVE_BYTES = 10**9

EXPECTED_S = {ModelType.T2V_A14B: (30, 60), ModelType.I2V_A14B: (25, 50), ModelType.TI2V_5B: (20, 40)}
EXPECTED_GB = (8, 12)
EXPECTED_AN_HOUR = (60, 120)

FEW_STEPS = {ModelType.T2V_A14B: 4, ModelType.I2V_A14B: 4, ModelType.TI2V_5B: 3}  # of the distilled LoRAs
SIZES = ((1280, 720, 16), (854, 480, 16), (1920, 1080, 16), (1280, 720, 81))
_PICTURE = ImageRef(id="upl_" + "0" * 32, width=1280, height=720)


class Case(NamedTuple):
    """A request for one video."""

    model_type: ModelType
    preset: str
    size: tuple[int, int, int]


def request_of(case: Case) -> Request:
    """With the steps and the guidance of the preset."""
    defaults, few = SPECS[case.model_type].defaults, case.preset == "fast"
    width, height, frames = case.size
    second = defaults.guidance_scale_2
    return Request(
        model_type=case.model_type,
        mode="video",
        prompt="a cat",
        negative_prompt="",
        image=_PICTURE if case.model_type is ModelType.I2V_A14B else None,
        width=width,
        height=height,
        num_frames=frames,
        fps=16,
        steps=FEW_STEPS[case.model_type] if few else round(STEPS_SHARES[case.preset] * defaults.steps),
        guidance_scale=1.0 if few else defaults.guidance_scale,
        guidance_scale_2=1.0 if few and second is not None else second,
        flow_shift=defaults.flow_shift,
        seed=1,
        output_format="mp4",
        quality="medium",
    )


def planned(case: Case) -> tuple[Request, Plan, Forecast]:
    """What the planner does with the official weights in bf16."""
    spec, request = SPECS[case.model_type], request_of(case)
    plan = Plan(
        variant="dev",
        model_files=f"{spec.slug}/dev",
        device="cuda:0",
        precision=dict.fromkeys(("transformer", "text_encoder", "vae"), "bf16"),
        compute="bf16",
        offload="none",
        render=render_of(spec, *case.size),
    )
    text, transformers, vae = (2 * spec.parameters[name] for name in ("text_encoder", "transformer", "vae"))
    weights = Weights(text, transformers, len(spec.transformers), vae, spec.transformer["num_layers"])
    where = Where(MACHINE, RESERVE_BYTES)
    plan = fitted(request, plan, weights, where)
    return request, plan, forecast(request, plan, where, weights)


def page() -> str:
    """The whole of it."""
    card = card_named(GPU.name)
    assert card is not None
    compute = f"{card.tflops:g} TFLOPS in bf16"
    told = f"{compute}, {card.memory_gb_s:g} GB/s of memory, {card.bus_gb_s:g} GB/s from pinned RAM"
    head = _HEAD.format(told=told, reached=card.reached, gb=EXPECTED_GB, hour=EXPECTED_AN_HOUR)
    return "\n".join([head, *_expected(), _MIDDLE, *_sizes(), _TAIL])


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), "utf-8", newline="\n")
    return 0


def _expected() -> Iterator[str]:
    yield "| model | preset | steps | denoising | in all | expected | reached | VRAM | videos an hour |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for model_type, (least, most) in EXPECTED_S.items():
        for preset in ("best", "balanced", "fast"):
            request, _, told = planned(Case(model_type, preset, (1280, 720, 16)))
            total, vram = told.total_s or 0.0, (told.peak_vram_bytes or 0) / 1e9
            reached = "yes" if total <= most else f"no, by {total / most:.1f} times"
            steps = f"{request.steps}{' with guidance' if request.passes_a_step > 1 else ''}"
            yield (
                f"| {model_type.value} | {preset} | {steps} | {_denoising(told):.0f} s | {total:.0f} s "
                f"| {least} to {most} s | {reached} | {vram:.1f} GB | {3600 / total:.0f} |"
            )


def _sizes() -> Iterator[str]:
    yield "| model | preset | size | tokens | in all | weights | VAE | VRAM with head-room |"
    yield "|---|---|---|---|---|---|---|---|"
    for model_type in ModelType:
        for preset in ("best", "fast"):
            for size in SIZES:
                _, plan, told = planned(Case(model_type, preset, size))
                tokens = tokens_of(SPECS[model_type], plan.render)
                tile = f"tiles of {plan.vae_tile}" if plan.vae_tile else "whole frames"
                fits = {"yes": "yes", "tight": "no", "no": "does not fit"}[told.fits]
                yield (
                    f"| {model_type.value} | {preset} | {'x'.join(map(str, size))} | {tokens:,} | {told.total_s:.0f} s "
                    f"| {_placed(plan)} | {tile} | {(told.peak_vram_bytes or 0) / GIB:.1f} GiB, {fits} |"
                )


def _denoising(told: Forecast) -> float:
    return sum(one.seconds or 0.0 for one in told.phases if one.phase is Phase.DENOISE)


def _placed(plan: Plan) -> str:
    slices = ", in slices" if plan.slices else ""
    stay = f", {plan.resident_blocks} stay" if plan.resident_blocks else ""
    return f"{plan.offload}{stay}{slices}"


_HEAD = """\
# What an RTX 4080 can do, on paper

Written by `python scripts/bench/roofline.py` from the cost model that plans and forecasts rest on. **Nothing here was
measured on an RTX 4080**; the model agrees within a fifth with five times that others published for the RTX 4090, A100
and H100 (`tests/orchestrator/test_orchestrator_forecasting.py`).

Assumed are: {told};
of the first {reached:.0%} reached by matrices and attention and 37 % by the VAE, of the second 95 %; uncompiled
diffusers with PyTorch's own attention; the official weights in bf16 in 128 GB of RAM; a desktop with 1 GB of the 16;
weights loaded, one video at a time, and the file's encoding left out.

## 16 frames of 1280x720, beside what was once expected

Expected were the times of the table, {gb[0]} to {gb[1]} GB of VRAM, and {hour[0]} to {hour[1]} videos an hour. The
planner takes more VRAM where that saves time, and fits 12 GB and less where that is all.
"""

_MIDDLE = """
`fast` takes a few-step LoRA (4 steps for A14B, 3 for TI2V-5B, no guidance), which has to be on disk. `best` is the
official number of steps, `balanced` half of it.

## Other sizes, and how they are made to fit
"""

_TAIL = """
`model`: each network is on the GPU for its phase alone. `blocks`: some blocks of the transformer stay there, the others
are streamed. `group`: all layers are streamed.
"""


if __name__ == "__main__":
    sys.exit(main())

"""What the planner makes of a piece of `gpu_check`, on this GPU with a cap, or on a pretended one without."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from wan22.hardware.choose import choose_device, choose_precision
from wan22.hardware.machine import Gpu, Machine
from wan22.hardware.probe import probe
from wan22.models.catalogue import SPECS
from wan22.models.needs import render_of
from wan22.orchestrator.fitting import fitted
from wan22.orchestrator.forecasting import Where, forecast
from wan22.orchestrator.placing import Weights
from wan22.tasks import Forecast, ModelType, Plan, Request

STEPS = 3
"""Enough to see one that runs smoothly; all others take as long."""

_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
_PRETENDED = Gpu(0, "NVIDIA GeForce RTX 4080", 16_376 * 2**20, 16_376 * 2**20, (8, 9), pcie=(4, 16))


class Wanted(Protocol):
    """Of a piece, what is planned by."""

    @property
    def model(self) -> str: ...

    @property
    def size(self) -> tuple[int, int, int]: ...

    @property
    def cap_gb(self) -> int | None: ...


def machine_for(*, tiny: bool) -> tuple[str, Machine]:
    """The device that computes, and the machine to plan for. Raises SystemExit where a GPU is needed and not there."""
    machine = probe()
    device = choose_device(machine, "auto")
    if device.startswith("cuda"):
        return device, machine
    if not tiny:
        raise SystemExit("No GPU that torch can use was found. Add --tiny to try the script without one.")
    ram = max(machine.ram_total_bytes, 128 * 2**30)
    return "cpu", replace(machine, gpus=(_PRETENDED,), torch_cuda="pretended", ram_total_bytes=ram)


def planned(piece: Wanted, machine: Machine, device: str) -> tuple[Request, Plan, Forecast]:
    """The request, how it is to be done on `device`, and what the planner foretells."""
    spec = SPECS[ModelType(piece.model)]
    width, height, frames = piece.size
    guidance, second = spec.defaults.guidance_scale, spec.defaults.guidance_scale_2
    request = Request(
        model_type=spec.model_type,
        mode="video",
        prompt="a red circle moving right on a blue background",
        negative_prompt="",
        width=width,
        height=height,
        num_frames=frames,
        fps=16,
        steps=STEPS,
        guidance_scale=guidance,
        guidance_scale_2=second,
        flow_shift=spec.defaults.flow_shift,
        seed=1,
        output_format="mp4",
        quality="medium",
    )
    where = Where(_capped(machine, piece.cap_gb), reserve_bytes=0)
    on_gpu = device if device.startswith("cuda") else "cuda:0"
    precision = choose_precision(where.machine, on_gpu, None)
    plan = Plan(
        variant="dev",
        model_files=f"{spec.slug}/dev",
        device=on_gpu,
        precision=precision.dtypes,
        compute=precision.compute,
        offload="none",
        render=render_of(spec, width, height, frames),
    )
    parts = {name: count * _BYTES[precision.dtypes[name]] for name, count in spec.parameters.items()}
    layers = spec.transformer["num_layers"]
    weights = Weights(parts["text_encoder"], parts["transformer"], len(spec.transformers), parts["vae"], layers)
    plan = fitted(request, plan, weights, where)
    foretold = forecast(request, plan, where, weights)
    if device == "cpu":
        whole = dict.fromkeys(precision.dtypes, "fp32")
        plan = plan.model_copy(update={"device": device, "precision": whole, "compute": "fp32"})
    return request, plan, foretold


def _capped(machine: Machine, cap_gb: int | None) -> Machine:
    """With a GPU that has no more than that."""
    (first, *others) = machine.gpus
    if cap_gb is None:
        return machine
    total = min(first.vram_total_bytes, cap_gb * 10**9)
    smaller = replace(first, vram_total_bytes=total, vram_free_bytes=min(total, first.vram_free_bytes))
    return replace(machine, gpus=(smaller, *others))

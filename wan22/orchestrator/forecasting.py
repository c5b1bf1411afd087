"""Foretells what a planned run will take: seconds and bytes by phase, and whether it fits. Pure.

Bytes are counted. Seconds are what such work took here before, or else what the GPU's published figures come to, with
shares that were fitted to published times of Wan; of a device in no table nothing is foretold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wan22.hardware.cards import Card, card_named
from wan22.hardware.choose import GIB, gpu_of
from wan22.hardware.machine import Gpu, Machine
from wan22.models.catalogue import SPECS
from wan22.models.cost import Cost, costs_of
from wan22.models.needs import CONTEXT_BYTES, HEADROOM, LAYERS_SHARE
from wan22.models.specs import DEMO
from wan22.tasks import Forecast, Parts, Phase, PhaseForecast, Plan, Request

Basis = Literal["measured", "published", "none"]
Fits = Literal["yes", "tight", "no"]

GB = 1e9

_TRAFFIC_REACHED = 0.95  # of the memory's published bandwidth, by operations that only read and write
_CONVOLUTIONS_REACHED = 0.37  # of the published operations: what decoding took on cards of the RTX 4080's class
_TEXT_SHARE = 0.255  # of the streamed text encoder, on the GPU at once: its embedding and two blocks
_BLOCK_SHARE = 0.034  # of a streamed transformer: a whole block, where there are slices
_TIGHT_RAM_SHARE = 0.8
_SAID: dict[Fits, str] = {"yes": ".", "tight": ": it fits with no room to spare.", "no": ": it does not fit."}


@dataclass(frozen=True)
class Weights:
    """Bytes of a model's weights as they will be in memory."""

    text_encoder: int
    transformers: int  # all experts together
    experts: int
    vae: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.text_encoder + self.transformers + self.vae

    def network(self, phase: Phase) -> float:
        """Of the one network that a phase goes through."""
        if phase is Phase.TEXT_ENCODE:
            return self.text_encoder
        return self.transformers / self.experts if phase is Phase.DENOISE else self.vae


def forecast(
    request: Request, plan: Plan, machine: Machine, weights: Weights, *, reserve_bytes: int, seen: Parts | None = None
) -> Forecast:
    """What `plan` will take; `seen`: the seconds of its parts, where such work has been done here."""
    gpu = gpu_of(machine, plan.device)
    compute = plan.compute or plan.precision["text_encoder"]
    costs = costs_of(
        SPECS[request.model_type],
        request,
        plan.render,
        tiled=plan.offload == "group",
        slices=plan.slices,
        compute=compute,
        vae=plan.precision["vae"],
    )
    is_told = plan.variant != DEMO and compute != "fp32"  # the published figures are of 16 bits
    card = card_named(gpu.name) if gpu and is_told else None
    seconds = _seen_seconds(costs, seen) if seen else _counted_seconds(costs, card, gpu, plan, weights)
    phases = tuple(
        PhaseForecast(
            phase=phase,
            seconds=seconds.get(phase),
            vram_bytes=round(_vram(phase, cost, plan, weights)) if gpu else None,
            ram_bytes=_ram(cost, plan, weights, has_gpu=gpu is not None),
        )
        for phase, cost in costs.items()
    )
    known = [one.seconds for one in phases if one.seconds is not None]
    vram = max((one.vram_bytes for one in phases if one.vram_bytes is not None), default=None)
    ram = max(one.ram_bytes for one in phases)
    held = weights.vae if plan.offload == "group" else weights.total
    fits = _fits_gpu(vram, held, gpu.vram_total_bytes - reserve_bytes) if gpu and vram else "yes"
    if fits != "no":
        fits = _fits_ram(ram, machine) or fits
    basis: Basis = "measured" if seen else "published" if card else "none"
    total_s = sum(seen) if seen else sum(known) if len(known) == len(phases) else None
    return Forecast(
        phases=phases,
        total_s=total_s,
        peak_vram_bytes=vram,
        peak_ram_bytes=ram,
        fits=fits,
        basis=basis,
        said=f"{_time_said(total_s, basis, card)}; {_memory_said(vram, ram, gpu, machine)}{_SAID[fits]}",
    )


def _fits_gpu(peak: int, held: int, room: int) -> Fits:
    """Fragments come with what is taken and given back, and not with weights that stay."""
    if held + HEADROOM * (peak - held) <= room:
        return "yes"
    return "tight" if peak <= room else "no"


def _fits_ram(peak: int, machine: Machine) -> Fits | None:
    """Whether the RAM makes the verdict worse; what swap takes is slow, and there."""
    if peak > machine.ram_total_bytes + (machine.swap_bytes or 0):
        return "no"
    return "tight" if peak > _TIGHT_RAM_SHARE * machine.ram_total_bytes else None


def _time_said(total_s: float | None, basis: Basis, card: Card | None) -> str:
    if total_s is None:
        return "How long it takes is not known before the first such task has run"
    took = f"About {_duration(total_s)}"
    if basis == "measured" or card is None:
        return f"{took}, as such tasks took here"
    return f"{took} by the published figures of the {card.name}, without writing the file"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _memory_said(vram: int | None, ram: int, gpu: Gpu | None, machine: Machine) -> str:
    in_ram = f"{ram / GIB:.1f} GiB of {machine.ram_total_bytes / GIB:.0f} GiB of RAM"
    if gpu is None or vram is None:
        return in_ram
    return f"{vram / GIB:.1f} GiB of {gpu.vram_total_bytes / GIB:.1f} GiB of VRAM and {in_ram}"


def _vram(phase: Phase, cost: Cost, plan: Plan, weights: Weights) -> float:
    if plan.offload != "group":
        return CONTEXT_BYTES + weights.total + cost.held_bytes
    layers = _BLOCK_SHARE if plan.slices else LAYERS_SHARE
    share = {Phase.TEXT_ENCODE: _TEXT_SHARE, Phase.DENOISE: layers}.get(phase, 0.0)
    return CONTEXT_BYTES + weights.vae + share * weights.network(phase) + cost.held_bytes


def _ram(cost: Cost, plan: Plan, weights: Weights, *, has_gpu: bool) -> int:
    if not has_gpu:
        return weights.total + cost.held_bytes
    if plan.offload == "group":
        return weights.total - weights.vae
    return max(weights.text_encoder, weights.transformers // weights.experts, weights.vae)  # read there, one by one


def _seen_seconds(costs: Mapping[Phase, Cost], seen: Parts) -> dict[Phase, float]:
    """Of texts and pictures together only one figure is known: it is the text's where there is no picture."""
    text = {} if Phase.IMAGE_ENCODE in costs else {Phase.TEXT_ENCODE: seen.rest}
    return {**text, Phase.DENOISE: seen.denoise, Phase.DECODE: seen.decode}


def _counted_seconds(
    costs: Mapping[Phase, Cost], card: Card | None, gpu: Gpu | None, plan: Plan, weights: Weights
) -> dict[Phase, float]:
    if card is None or gpu is None:
        return {}
    here = card.model_copy(update={"bus_gb_s": gpu.bus_bytes_per_s / GB}) if gpu.bus_bytes_per_s else card
    return {phase: _on_card(here, phase, cost, plan, weights) for phase, cost in costs.items()}


def _on_card(card: Card, phase: Phase, cost: Cost, plan: Plan, weights: Weights) -> float:
    """Weights that are streamed arrive while the ones before them are used: the slower of the two counts."""
    work, operations = cost.work, 1e12 * card.tflops
    halved = 2.0 if plan.precision["vae"] == "fp32" else 1.0
    computing = (
        (work.matrices + work.attention) / (card.reached * operations)
        + work.convolutions * halved / (_CONVOLUTIONS_REACHED * operations)
        + work.traffic / (_TRAFFIC_REACHED * GB * card.memory_gb_s)
    )
    if plan.offload != "group":
        return computing
    return max(computing, work.passes * weights.network(phase) / (GB * card.bus_gb_s))

"""Foretells what a planned run will take: seconds and bytes by phase, and whether it fits. Pure.

Bytes are counted. Seconds are what such work took here before, or else what the GPU's published figures come to, with
shares that were fitted to published times of Wan; of a device in no table nothing is foretold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Literal, NamedTuple

from wan22.hardware.cards import Card, card_named
from wan22.hardware.choose import GIB, gpu_of, vram_room
from wan22.hardware.machine import Gpu, Machine
from wan22.models.catalogue import SPECS
from wan22.models.cost import Cost, Work, costs_of
from wan22.models.needs import CONTEXT_BYTES
from wan22.models.specs import DEMO
from wan22.orchestrator.placing import OnGpu, OverBus, Weights, in_ram, on_gpu, over_bus
from wan22.tasks import Forecast, Parts, Phase, PhaseForecast, Plan, Request, Seen

Basis = Literal["measured", "calibrated", "published", "none"]
Fits = Literal["yes", "tight", "no"]

GB = 1e9

_TRAFFIC_REACHED = 0.95  # of the memory's published bandwidth, by operations that only read and write
_CONVOLUTIONS_REACHED = 0.37  # of the published operations: what decoding took on cards of the RTX 4080's class
_PIECE_S = 3e-4  # of one copy is not hidden: its begin, its end, and what a short layer before it leaves uncovered
_CLASH = 0.05  # of the shorter of computing and copying is not hidden behind the longer: both want the GPU's memory
_PINNED_SHARE = 1.5  # what weights take when they are pinned, since CUDA rounds up to powers of two
_UNPINNED = 0.33  # of the bus is reached where the RAM has no room for that: 8 of 25 GB/s
_SLICES_COST = 1.02  # slices cost next to nothing; enough to leave them where they are not needed
_USUAL = Card(name="usual", tflops=50.0, memory_gb_s=450.0, bus_gb_s=25.0)  # to compare plans by, where none is known
_TIGHT_RAM_SHARE = 0.8
_SAID: dict[Fits, str] = {"yes": ".", "tight": ": it fits with no room to spare.", "no": ": it does not fit."}


@dataclass(frozen=True)
class Where:
    """What a plan is judged on: a machine, and how much of its GPU is there for it."""

    machine: Machine
    reserve_bytes: int
    ours_bytes: int = 0  # that models which are loaded now hold on the GPU, and can give back
    correction: Callable[[Plan], float] = lambda plan: 1.0  # of counted bytes on the GPU, as earlier runs have shown

    def gpu(self, plan: Plan) -> Gpu | None:
        """The plan's, if it has memory of its own."""
        return gpu_of(self.machine, plan.device)

    def is_known(self, gpu: Gpu | None) -> bool:
        """Whether figures of it are published."""
        return _card_of(gpu) is not None

    def room(self, gpu: Gpu) -> int:
        """Bytes of its memory that a run may take."""
        return vram_room(gpu, reserve_bytes=self.reserve_bytes, ours_bytes=self.ours_bytes)


class Bill(NamedTuple):
    """One plan, priced."""

    phases: dict[Phase, OnGpu]
    seconds: dict[Phase, float]
    ram: int

    @property
    def total_s(self) -> float:
        """Of all phases."""
        return sum(self.seconds.values())

    @property
    def peak(self) -> float:
        """The most on the GPU."""
        return max(one.peak for one in self.phases.values())

    @property
    def need(self) -> float:
        """The same with head-room for fragments."""
        return max(one.need for one in self.phases.values())


def costs_for(request: Request, plan: Plan) -> dict[Phase, Cost]:
    """What each phase of the plan asks of its device."""
    return costs_of(
        SPECS[request.model_type],
        request,
        plan.render,
        tile=plan.vae_tile,
        slices=plan.slices,
        compute=_compute(plan),
        vae=plan.precision["vae"],
        at_once=plan.at_once,
    )


def bill_of(request: Request, plan: Plan, weights: Weights, where: Where, costs: Mapping[Phase, Cost]) -> Bill:
    """What the plan costs; the seconds by the GPU's published figures, or by those of a usual GPU, to compare by."""
    gpu = where.gpu(plan)
    beside = CONTEXT_BYTES if gpu else 0
    missed = where.correction(plan) if gpu else 1.0
    phases = {
        phase: on_gpu(phase, plan, weights, beside + cost.held_bytes).corrected(missed) for phase, cost in costs.items()
    }
    card = _here(gpu)
    held = max(cost.held_bytes for cost in costs.values())
    ram = in_ram(plan, weights) if gpu else weights.total + held
    bus = 1.0 if ram * _PINNED_SHARE <= where.machine.ram_total_bytes else _UNPINNED
    seconds = {}
    for phase, cost in costs.items():
        times = ceil(request.num_videos / plan.at_once) if phase is Phase.DENOISE else request.num_videos
        moved = over_bus(phase, plan, weights, passes=cost.work.passes, outputs=times)
        seconds[phase] = _seconds(card, cost.work, moved, plan, bus=bus)
    return Bill(phases, seconds, round(ram))


def forecast(request: Request, plan: Plan, where: Where, weights: Weights, *, seen: Seen | None = None) -> Forecast:
    """What `plan` will take; `seen`: the seconds of its parts, where such work has been done here."""
    gpu, costs = where.gpu(plan), costs_for(request, plan)
    bill = bill_of(request, plan, weights, where, costs)
    card = _card_of(gpu) if is_told(plan) else None
    seconds = _seen_seconds(costs, seen.seconds) if seen else bill.seconds if card else {}
    phases = tuple(
        PhaseForecast(
            phase=phase,
            seconds=seconds.get(phase),
            vram_bytes=round(bill.phases[phase].peak) if gpu else None,
            ram_bytes=bill.ram if gpu else weights.total + cost.held_bytes,
        )
        for phase, cost in costs.items()
    )
    known = [one.seconds for one in phases if one.seconds is not None]
    vram = round(bill.peak) if gpu else None
    fits = fits_of(bill, gpu, where)
    basis: Basis = _basis_of(seen) if seen else "published" if card else "none"
    total_s = sum(seen.seconds) if seen else sum(known) if len(known) == len(phases) else None
    return Forecast(
        phases=phases,
        total_s=total_s,
        peak_vram_bytes=vram,
        peak_ram_bytes=bill.ram,
        fits=fits,
        basis=basis,
        said=f"{_time_said(total_s, basis, card)}; {_memory_said(vram, bill.ram, gpu, where)}{_SAID[fits]}",
    )


def fits_of(bill: Bill, gpu: Gpu | None, where: Where) -> Fits:
    """Whether what is billed can be had: `tight` is without head-room."""
    of_ram = _fits_ram(bill.ram, where.machine)
    if gpu is None or of_ram == "no":
        return of_ram
    room = where.room(gpu)
    if bill.need <= room:
        return of_ram
    return "tight" if bill.peak <= room else "no"


def _fits_ram(peak: int, machine: Machine) -> Fits:
    """What swap takes is slow, and there."""
    if peak > machine.ram_total_bytes + (machine.swap_bytes or 0):
        return "no"
    return "tight" if peak > _TIGHT_RAM_SHARE * machine.ram_total_bytes else "yes"


def is_told(plan: Plan) -> bool:
    """Whether published figures tell of it: they are of 16 bits, and costs are those of the real weights."""
    return plan.variant != DEMO and _compute(plan) != "fp32"


def _compute(plan: Plan) -> str:
    return plan.compute or plan.precision["text_encoder"]


def _card_of(gpu: Gpu | None) -> Card | None:
    return card_named(gpu.name) if gpu else None


def _here(gpu: Gpu | None) -> Card:
    """The card of the GPU in the slot where it is, or a usual one."""
    return _in_slot(gpu.name, gpu.bus_bytes_per_s) if gpu else _USUAL


@lru_cache(maxsize=8)
def _in_slot(gpu: str, bus_bytes_per_s: float | None) -> Card:
    card = card_named(gpu) or _USUAL
    return card.model_copy(update={"bus_gb_s": bus_bytes_per_s / GB}) if bus_bytes_per_s else card


def _basis_of(seen: Seen) -> Basis:
    return "measured" if seen.is_same_size else "calibrated"


def _time_said(total_s: float | None, basis: Basis, card: Card | None) -> str:
    if total_s is None:
        return "How long it takes is not known before the first such task has run"
    took = f"About {duration(total_s)}"
    if basis == "measured":
        return f"{took}, as such tasks took here"
    if basis == "calibrated" or card is None:
        return f"{took}, by what tasks of other sizes took here"
    return f"{took} by the published figures of the {card.name}, without writing the file"


def duration(seconds: float) -> str:
    """As people say it."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _memory_said(vram: int | None, ram: int, gpu: Gpu | None, where: Where) -> str:
    in_ram = f"{ram / GIB:.1f} GiB of {where.machine.ram_total_bytes / GIB:.0f} GiB of RAM"
    if gpu is None or vram is None:
        return in_ram
    return f"{vram / GIB:.1f} GiB of the {where.room(gpu) / GIB:.1f} GiB of VRAM that can be had, and {in_ram}"


def _seen_seconds(costs: Mapping[Phase, Cost], seen: Parts) -> dict[Phase, float]:
    """Of texts and pictures together only one figure is known: it is the text's where there is no picture."""
    text = {} if Phase.IMAGE_ENCODE in costs else {Phase.TEXT_ENCODE: seen.rest}
    return {**text, Phase.DENOISE: seen.denoise, Phase.DECODE: seen.decode}


def _seconds(card: Card, work: Work, moved: OverBus, plan: Plan, *, bus: float) -> float:
    """Weights that are streamed arrive while the ones before them are used: the slower of the two counts."""
    operations, rate = 1e12 * card.tflops, bus * GB * card.bus_gb_s
    halved = 2.0 if plan.precision["vae"] == "fp32" else 1.0
    computing = (
        (work.matrices + work.attention) / (card.reached * operations)
        + work.convolutions * halved / (_CONVOLUTIONS_REACHED * operations)
        + work.traffic / (_TRAFFIC_REACHED * GB * card.memory_gb_s)
    ) * (_SLICES_COST if plan.slices else 1.0)
    computing += moved.pieces * _PIECE_S
    along = moved.along / rate
    return moved.ahead / rate + max(computing, along) + _CLASH * min(computing, along)

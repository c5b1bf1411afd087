"""Picks the fastest way to carry out a plan that fits the memory, and says what it costs. Pure.

It decides where weights are, whether the VAE works in tiles and the blocks on slices. The precision is settled before:
nothing here makes a video worse, but for the seams of tiles, which are as large as they can be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wan22.hardware.choose import GIB
from wan22.hardware.machine import Gpu
from wan22.models.catalogue import SPECS
from wan22.models.cost import tokens_of
from wan22.orchestrator.forecasting import Bill, Where, bill_of, costs_for, duration, fits_of, is_told
from wan22.orchestrator.placing import Weights
from wan22.orchestrator.rungs import SLICE_TOKENS
from wan22.tasks import Choice, Plan, Request

SLICES = "attention-slicing"
"""What a request names that wants slices in any case."""

TILES = (None, 512, 256)
"""Pixels a side of the VAE's tiles, the least change first."""


@dataclass(frozen=True)
class _Way:
    """A plan and its price."""

    plan: Plan
    bill: Bill


def fitted(request: Request, plan: Plan, weights: Weights, where: Where, *, narrow: str | None = None) -> Plan:
    """The plan with the fastest of all ways that fit with head-room, or the one that needs least where none does.

    More memory leaves more ways to pick from, so that it is never slower. `narrow`: the 8 bits that the weights could
    be had in instead, of which the reason then tells.
    """
    gpu, ways = where.gpu(plan), list(_ways(request, plan, weights, where))
    best = _best(ways, gpu, where)
    others = _narrower(request, plan, weights, where) if narrow and best.plan.offload != "none" else None
    why = _Why(best, ways, where, gpu)
    choices = (
        Choice(what="offload", choice=best.plan.offload, why=why.offload(weights, narrow, others)),
        *why.tiles(),
        *why.slices(),
    )
    return best.plan.model_copy(update={"choices": (*plan.choices, *choices)})


def _best(ways: list[_Way], gpu: Gpu | None, where: Where) -> _Way:
    if roomy := [way for way in ways if _is_roomy(way.bill, gpu, where)]:
        return min(roomy, key=lambda way: way.bill.total_s)  # of equals the first, which changes least
    possible = [way for way in ways if fits_of(way.bill, gpu, where) != "no"] or ways
    return min(possible, key=lambda way: way.bill.need if gpu else way.bill.ram)


def _is_roomy(bill: Bill, gpu: Gpu | None, where: Where) -> bool:
    """With head-room on the GPU; that RAM is tight makes no other way better, beside a GPU."""
    of_ram = fits_of(bill, None, where)
    return bill.need <= where.room(gpu) and of_ram != "no" if gpu else of_ram == "yes"


def _narrower(request: Request, plan: Plan, weights: Weights, where: Where) -> _Way:
    """The best way with weights of 8 bits."""
    return _best(list(_ways(request, plan, weights.narrowed(), where)), where.gpu(plan), where)


def _ways(request: Request, plan: Plan, weights: Weights, where: Where) -> Iterator[_Way]:
    """All there are, of equals the simplest first."""
    tokens = tokens_of(SPECS[request.model_type], plan.render)
    whole = () if SLICES in request.optimizations and tokens > SLICE_TOKENS else (None,)
    for slices in (*whole, SLICE_TOKENS) if tokens > SLICE_TOKENS else whole:
        for tile in TILES if max(plan.render.width, plan.render.height) > min(filter(None, TILES)) else (None,):
            sized = plan.model_copy(update={"slices": slices, "vae_tile": tile})
            costs = costs_for(request, sized)
            for placed in _placed(sized, weights, has_gpu=where.gpu(plan) is not None):
                yield _Way(placed, bill_of(request, placed, weights, where, costs))


def _placed(plan: Plan, weights: Weights, *, has_gpu: bool) -> Iterator[Plan]:
    """All places for the weights, the most on the GPU first."""
    yield plan.model_copy(update={"offload": "none"})
    if has_gpu:
        yield plan.model_copy(update={"offload": "model"})
        for resident in range(weights.blocks, -1, -1):
            yield plan.model_copy(update={"offload": "blocks", "resident_blocks": resident})
        yield plan.model_copy(update={"offload": "group"})


@dataclass(frozen=True)
class _Why:
    """The reasons of one choice among all ways."""

    best: _Way
    ways: list[_Way]
    where: Where
    gpu: Gpu | None

    def offload(self, weights: Weights, narrow: str | None, narrower: _Way | None) -> str:
        """What is where, what the fastest way of all would be, and what weights of 8 bits would change."""
        if self.gpu is None:
            return "no GPU memory to spare"
        fastest = min(self.ways, key=lambda way: way.bill.total_s)
        said = f"{_said(self.best.plan, weights)}: {self.best.bill.peak / GIB:.1f} GiB of VRAM at most"
        if self._is_slower_than(fastest):
            needs = f"needs {fastest.bill.need / GIB:.1f} GiB with head-room"
            said += f"; {self._price(fastest)}{_said(fastest.plan, weights)}, which {needs}"
            said += f", and {self.where.room(self.gpu) / GIB:.1f} GiB can be had"
        if narrow and narrower and is_told(self.best.plan):
            saved = self.best.bill.total_s - narrower.bill.total_s
            gain = f"save {duration(saved)}" if saved > 0.02 * self.best.bill.total_s else "be no faster"
            said += f"; {narrow} would {gain}"
        return said

    def tiles(self) -> Iterator[Choice]:
        """Of the VAE's tiles, where there are any."""
        if tile := self.best.plan.vae_tile:
            whole = self._with(vae_tile=None)
            why = f"so that decoding needs {self.best.bill.need / GIB:.1f} GiB and not {whole.bill.need / GIB:.1f} GiB"
            yield Choice(what="tiles", choice=f"{tile} pixels", why=why)

    def slices(self) -> Iterator[Choice]:
        """Of the sequence's slices, where there are any."""
        if tokens := self.best.plan.slices:
            why = "so that all of its tokens need not be worked on at once"
            yield Choice(what="slices", choice=f"{tokens} tokens", why=why)

    def _with(self, **changes: None) -> _Way:
        wanted = self.best.plan.model_copy(update=changes)
        return next(way for way in self.ways if way.plan == wanted)

    def _is_slower_than(self, fastest: _Way) -> bool:
        return fastest.plan != self.best.plan and fastest.bill.total_s < self.best.bill.total_s

    def _price(self, fastest: _Way) -> str:
        if not (is_told(self.best.plan) and self.where.is_known(self.gpu)):
            return "faster would be "
        return f"{duration(self.best.bill.total_s - fastest.bill.total_s)} more than with "


def _said(plan: Plan, weights: Weights) -> str:
    """Where its weights are."""
    if plan.offload == "none":
        return "all weights on the GPU"
    if plan.offload == "model":
        return "each network on the GPU for its phase alone"
    if plan.offload == "blocks" and not plan.resident_blocks:
        return "blocks streamed from RAM one ahead of its use"
    if plan.offload == "blocks":
        return f"{plan.resident_blocks} of {weights.blocks} blocks on the GPU, the others streamed from RAM"
    return "layers streamed from RAM one by one"

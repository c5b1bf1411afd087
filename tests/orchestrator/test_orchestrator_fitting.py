"""The planner never plans over what is there, more memory is never slower, and every choice says what it costs."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import samples

from wan22.hardware.machine import Gpu, Machine
from wan22.models.catalogue import SPECS
from wan22.models.needs import render_of
from wan22.orchestrator.fitting import fitted
from wan22.orchestrator.forecasting import Bill, Where, bill_of, costs_for, fits_of
from wan22.orchestrator.placing import Weights
from wan22.tasks import ModelType, Plan, Request

GIB, GB = 2**30, 10**9
CARDS = ("NVIDIA GeForce RTX 3060", "NVIDIA GeForce RTX 4080", "NVIDIA H100 80GB HBM3", "NVIDIA Something New")
RTX_4080 = CARDS[1]
T2V, TI2V = ModelType.T2V_A14B, ModelType.TI2V_5B


class Case(NamedTuple):
    """A request for the real weights, on a machine."""

    request: Request
    plan: Plan
    weights: Weights
    where: Where

    def fitted(self) -> tuple[Plan, Bill]:
        """What is planned, and its price."""
        plan = fitted(self.request, self.plan, self.weights, self.where, narrow="int8")
        return plan, bill_of(self.request, plan, self.weights, self.where, costs_for(self.request, plan))

    def on(self, *, vram: float | None = None, ram: float | None = None) -> Case:
        """On a machine with so many GiB."""
        machine = self.where.machine
        if vram is not None:
            size = int(vram * GIB)
            (gpu,) = machine.gpus
            machine = replace(machine, gpus=(replace(gpu, vram_total_bytes=size, vram_free_bytes=size),))
        if ram is not None:
            machine = replace(machine, ram_total_bytes=int(ram * GIB), ram_available_bytes=int(ram * GIB))
        return self._replace(where=replace(self.where, machine=machine))

    def verdict(self) -> str:
        """Of what is planned."""
        plan, bill = self.fitted()
        return fits_of(bill, self.where.gpu(plan), self.where)


def case(
    model_type: ModelType = T2V,
    size: tuple[int, int, int] = (1280, 720, 17),
    *,
    steps: int = 40,
    guidance: float = 4.0,
    videos: int = 1,
    card: str | None = RTX_4080,
    vram: float = 16,
    ram: float = 128,
    vae: str = "bf16",
) -> Case:
    spec = SPECS[model_type]
    gpus = (Gpu(0, card, int(vram * GIB), int(vram * GIB), (8, 9), pcie=(4, 16)),) if card else ()
    machine = Machine("Linux", "a CPU", 16, int(ram * GIB), int(ram * GIB), gpus, "2.13.0", "12.6" if card else None)
    width, height, frames = size
    request = samples.request(
        model_type=model_type,
        width=width,
        height=height,
        num_frames=frames,
        steps=steps,
        guidance_scale=guidance,
        guidance_scale_2=None if model_type is TI2V else guidance,
        num_videos=videos,
    )
    plan = samples.plan(
        variant="dev",
        device="cuda:0" if card else "cpu",
        precision={"transformer": "bf16", "text_encoder": "bf16", "vae": vae},
        compute="bf16",
        render=render_of(spec, *size),
    )
    text, transformers = (2 * spec.parameters[name] for name in ("text_encoder", "transformer"))
    vae_bytes = (4 if vae == "fp32" else 2) * spec.parameters["vae"]
    weights = Weights(text, transformers, len(spec.transformers), vae_bytes, spec.transformer["num_layers"])
    return Case(request, plan, weights, Where(machine, reserve_bytes=GB))


SIZES = st.tuples(
    st.integers(8, 80).map(lambda n: 32 * n), st.integers(8, 45).map(lambda n: 32 * n), st.integers(0, 20)
).map(lambda size: (size[0], size[1], 4 * size[2] + 1))
CASES = st.builds(
    case,
    st.sampled_from(ModelType),
    SIZES,
    steps=st.integers(1, 60),
    guidance=st.sampled_from([1.0, 4.0]),
    videos=st.integers(1, 4),
    card=st.sampled_from(CARDS),
    vram=st.floats(1, 200),
    ram=st.floats(8, 600),
    vae=st.sampled_from(["bf16", "fp32"]),
)


@given(CASES)
def test_a_plan_that_fits_is_within_what_can_be_had(one: Case) -> None:
    plan, bill = one.fitted()
    gpu = one.where.gpu(plan)
    assert gpu is not None
    verdict = fits_of(bill, gpu, one.where)
    if verdict != "no":
        assert bill.peak <= one.where.room(gpu) <= gpu.vram_total_bytes - GB
        assert bill.ram <= one.where.machine.ram_total_bytes
    if verdict == "yes":
        assert bill.need <= one.where.room(gpu)


@given(CASES, st.floats(1, 3), st.floats(1, 3))
def test_more_memory_is_never_slower_and_never_fits_less(one: Case, more_vram: float, more_ram: float) -> None:
    machine = one.where.machine
    vram, ram = machine.gpus[0].vram_total_bytes / GIB, machine.ram_total_bytes / GIB
    larger = one.on(vram=more_vram * vram, ram=more_ram * ram)
    order = ("no", "tight", "yes")
    assert order.index(larger.verdict()) >= order.index(one.verdict())
    if one.verdict() != "no":
        assert larger.fitted()[1].total_s <= one.fitted()[1].total_s * (1 + 1e-9)


@given(CASES, st.sampled_from(["width", "height", "frames", "steps", "videos", "guidance"]))
def test_more_work_never_costs_less(one: Case, what: str) -> None:
    before, render = one.request, one.plan.render
    changes = {
        "steps": {"steps": before.steps + 1},
        "videos": {"num_videos": before.num_videos + 1},
        "guidance": {"guidance_scale": 4.0, "guidance_scale_2": before.guidance_scale_2 and 4.0},
    }
    sides = {"width": {"width": render.width + 32}, "height": {"height": render.height + 32}}
    larger = {**sides, "frames": {"num_frames": render.num_frames + 4}}
    plan = one.plan.model_copy(update={"render": render.model_copy(update=larger.get(what, {}))})
    more = one._replace(request=before.model_copy(update=changes.get(what, {})), plan=plan)
    if more.verdict() == one.verdict() == "yes":
        assert more.fitted()[1].total_s >= one.fitted()[1].total_s * (1 - 1e-9)
    assert ("no", "tight", "yes").index(more.verdict()) <= ("no", "tight", "yes").index(one.verdict())


@given(CASES)
def test_no_other_way_that_fits_is_faster(one: Case) -> None:
    plan, bill = one.fitted()
    if one.verdict() == "yes":
        for tile in (None, 512, 256):
            for offload in ("none", "model", "group"):
                other = plan.model_copy(update={"offload": offload, "resident_blocks": None, "vae_tile": tile})
                costs = costs_for(one.request, other)
                price = bill_of(one.request, other, one.weights, one.where, costs)
                if fits_of(price, one.where.gpu(plan), one.where) == "yes":
                    assert bill.total_s <= price.total_s


@pytest.mark.parametrize(
    ("model_type", "size", "vram", "placed"),
    [
        (T2V, (832, 480, 17), 141, ("none", None, None)),
        (T2V, (1280, 720, 81), 80, ("none", None, None)),
        (T2V, (1280, 720, 81), 40, ("model", None, None)),
        (T2V, (1280, 720, 17), 16, ("blocks", None, None)),
        (T2V, (1280, 720, 17), 10, ("blocks", 512, None)),
        (T2V, (1280, 720, 17), 6, ("group", 512, None)),
        (TI2V, (1280, 704, 17), 16, ("model", None, None)),
        (TI2V, (1280, 704, 17), 6, ("blocks", 256, None)),
        (T2V, (1920, 1088, 81), 16, ("group", 512, 2048)),
    ],
)
def test_what_is_planned_on_usual_cards(
    model_type: ModelType, size: tuple[int, int, int], vram: float, placed: tuple[object, ...]
) -> None:
    plan, _ = case(model_type, size, vram=vram).fitted()
    assert (plan.offload, plan.vae_tile, plan.slices) == placed


def test_as_many_blocks_stay_as_fit_where_steps_are_many() -> None:
    counts = [case(vram=vram).fitted()[0].resident_blocks for vram in (10, 12, 16, 20)]
    assert None not in counts
    assert counts == sorted(counts, key=lambda count: count or 0)
    assert len(set(counts)) == 4


def test_with_few_steps_no_time_is_lost_for_what_is_used_little() -> None:
    plan, bill = case(steps=4, guidance=1.0).fitted()
    assert (plan.offload, plan.resident_blocks) == ("blocks", 0)
    stays = plan.model_copy(update={"resident_blocks": 13})
    one = case(steps=4, guidance=1.0)
    assert bill.total_s <= bill_of(one.request, stays, one.weights, one.where, costs_for(one.request, stays)).total_s


def test_what_our_own_models_hold_counts_as_free_and_what_others_hold_does_not() -> None:
    idle = case()
    (gpu,) = idle.where.machine.gpus
    busy = replace(idle.where.machine, gpus=(replace(gpu, vram_free_bytes=gpu.vram_free_bytes - 8 * GIB),))
    ours = idle._replace(where=replace(idle.where, machine=busy, ours_bytes=8 * GIB))
    others = idle._replace(where=replace(idle.where, machine=busy))
    assert ours.fitted() == idle.fitted()
    assert others.fitted()[1].peak < idle.fitted()[1].peak
    assert others.fitted()[1].total_s > idle.fitted()[1].total_s


def test_what_needed_more_than_was_counted_is_planned_with_more() -> None:
    counted = case()
    missed = counted._replace(where=replace(counted.where, correction=lambda plan: 1.2))
    (plan, bill), (_, before) = missed.fitted(), counted.fitted()
    costs = costs_for(counted.request, plan)
    assert bill.peak == pytest.approx(1.2 * bill_of(counted.request, plan, counted.weights, counted.where, costs).peak)
    assert bill.need <= missed.where.room(missed.where.machine.gpus[0])
    assert bill.total_s > before.total_s


def test_a_choice_says_what_it_costs_and_what_the_faster_one_needs() -> None:
    plan, _ = case(vram=10).fitted()
    said = {choice.what: choice.why for choice in plan.choices}
    assert "more than with all weights on the GPU, which needs 77.3 GiB" in said["offload"]
    assert "int8 would" in said["offload"]
    assert "so that decoding needs" in said["tiles"]


def test_of_a_card_in_no_table_no_seconds_are_told() -> None:
    plan, _ = case(card="NVIDIA Something New", vram=10).fitted()
    (why,) = (choice.why for choice in plan.choices if choice.what == "offload")
    assert "faster would be all weights on the GPU, which needs" in why
    assert " s more" not in why


def test_a_cpu_works_whole_where_its_ram_suffices_and_in_parts_where_not() -> None:
    assert case(card=None).fitted()[0].offload == "none"
    whole, parts = (case(T2V, (1920, 1088, 81), card=None, ram=ram).fitted()[0] for ram in (400, 100))
    assert (whole.vae_tile, whole.slices) == (None, None)
    assert (parts.vae_tile, parts.slices) != (None, None)

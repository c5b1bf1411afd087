"""Which attention a plan has and whether its blocks are compiled, each with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import samples

from wan22.errors import ConfigurationError
from wan22.hardware.machine import Gpu, Machine
from wan22.orchestrator.kernels import with_kernels
from wan22.orchestrator.rungs import rung_below
from wan22.settings import DeviceSettings
from wan22.tasks import Choice, Plan

GPU = Gpu(0, "NVIDIA GeForce RTX 4080", 16 * 2**30, 15 * 2**30, (8, 9))
MACHINE = Machine(
    "Linux 6.1",
    "a CPU",
    8,
    2**36,
    2**35,
    gpus=(GPU,),
    torch_cuda="13.0",
    attention_packages={"flash-attn": "2.8.3", "sageattention": "2.2.0"},
    has_cpp_compiler=True,
    has_triton=True,
)
BF16 = {"transformer": "bf16", "text_encoder": "bf16", "vae": "bf16"}


def planned(machine: Machine = MACHINE, *, plan: Any = None, **settings: Any) -> Plan:
    made = samples.plan(**{"device": "cuda:0", "precision": BF16, "compute": "bf16", **(plan or {})})
    return with_kernels(made, machine, DeviceSettings(**settings))


def choice_of(plan: Plan, what: str) -> Choice:
    (choice,) = (choice for choice in plan.choices if choice.what == what)
    return choice


@pytest.mark.parametrize("setting", ["flash", "sage"])
def test_attention_of_the_setting_is_in_the_plan_with_its_reason(setting: str) -> None:
    plan = planned(attention=setting)
    assert plan.attention == choice_of(plan, "attention").choice == setting
    assert "device.attention" in choice_of(plan, "attention").why


def test_without_a_setting_it_is_torchs_own() -> None:
    plan = planned()
    assert plan.attention == choice_of(plan, "attention").choice == "native"
    assert "none was measured to be faster" in choice_of(plan, "attention").why


def test_a_plan_in_fp32_attends_by_torchs_own() -> None:
    plan = planned(attention="flash", plan={"compute": "fp32"})
    assert plan.attention == "native"
    assert "16 bits" in choice_of(plan, "attention").why


def test_attention_that_is_not_there_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigurationError, match="Set it to auto"):
        planned(attention="flash", plan={"device": "cpu"})


def test_nothing_is_compiled_and_nothing_said_of_it_unless_it_is_asked_for() -> None:
    plan = planned()
    assert not plan.compiled
    assert "compile" not in [choice.what for choice in plan.choices]


@pytest.mark.parametrize("offload", ["none", "model"])
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_what_is_asked_for_is_compiled(offload: str, device: str) -> None:
    plan = planned(compile=True, plan={"offload": offload, "device": device})
    assert plan.compiled
    assert choice_of(plan, "compile").choice == "blocks"


REFUSED = {
    "blocks": ({"offload": "blocks", "resident_blocks": 3}, "streamed"),
    "group": ({"offload": "group"}, "streamed"),
    "slices": ({"slices": 2048}, "slices"),
    "step cache": ({"step_cache": (0.1,)}, "step cache"),
    "mps": ({"device": "mps"}, "NVIDIA's GPUs and for CPUs"),
}


@pytest.mark.parametrize(("plan", "said"), REFUSED.values(), ids=REFUSED)
def test_what_stands_in_the_way_of_compiling_is_said(plan: dict[str, Any], said: str) -> None:
    refused = planned(compile=True, plan=plan)
    assert not refused.compiled
    assert choice_of(refused, "compile").choice == "none"
    assert said in choice_of(refused, "compile").why


def test_without_a_compiler_nothing_is_compiled() -> None:
    bare = replace(MACHINE, has_cpp_compiler=False, has_triton=False)
    for device, said in (("cpu", "C++ compiler"), ("cuda:0", "triton")):
        assert said in choice_of(planned(bare, compile=True, plan={"device": device}), "compile").why


@given(
    offload=st.sampled_from(["none", "model", "blocks", "group"]),
    slices=st.none() | st.just(2048),
    device=st.sampled_from(["cpu", "cuda:0"]),
    has_others=st.booleans(),
)
def test_what_is_tried_with_less_memory_is_never_both(
    offload: str, slices: int | None, device: str, has_others: bool
) -> None:
    plan = planned(compile=True, plan={"offload": offload, "slices": slices, "device": device})
    rung = rung_below(plan, at_once=1, has_others=has_others, is_loaded=True)
    if rung and rung.plan.compiled:
        assert rung.plan.offload in ("none", "model")
        assert rung.plan.slices is None

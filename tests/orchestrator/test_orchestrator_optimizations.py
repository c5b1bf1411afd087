"""The registry has the report's twenty, and every verdict is true of the machine that it is given on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from wan22.errors import ConfigurationError
from wan22.hardware.choose import choose_device, choose_precision
from wan22.hardware.machine import Gpu, Machine
from wan22.models.variants import Models
from wan22.orchestrator.optimizations import hardware
from wan22.orchestrator.optimizations.advisor import Advisor
from wan22.orchestrator.optimizations.registry import BY_ID, OPTIMIZATIONS
from wan22.orchestrator.optimizations.standing import Facts
from wan22.orchestrator.planning import Planner
from wan22.orchestrator.tuning import Tuning
from wan22.settings import Settings, load_settings
from wan22.tasks import ModelType, Plan

GIB = 2**30
THE_HARDWARE_ONES = """
RTX 4080 tensor core optimization for WAN models
RTX 4080 memory allocation strategy for 14B/5B parameters
RTX 4080 VRAM management for video generation
RTX 4080 mixed precision optimization
RTX 4080 CUDA environment optimization
Threadripper multi-core utilization for WAN preprocessing
NUMA-aware memory allocation for large model weights
Threadripper CPU offloading strategies for WAN models
Threadripper thread allocation optimization
High memory caching strategy for WAN model weights
Memory-intensive WAN model support (14B parameters)
Large batch processing for WAN video generation
Memory-mapped model loading for WAN checkpoints
High memory CUDA allocation optimization
"""
THE_SYSTEM_ONES = """
Hardware profile detection
Configuration file validation
High VRAM configuration detected
High core count CPU detected
High memory configuration detected
System monitoring initialized
"""

RTX_4080 = Gpu(
    0, "NVIDIA GeForce RTX 4080", 16_376 * 2**20, 15_000 * 2**20, (8, 9), "552.22", (4, 16), frozenset(range(16))
)
REPORTED = Machine(
    os="Windows 10",
    cpu="AMD Ryzen Threadripper PRO 5995WX",
    cores=128,
    ram_total_bytes=128 * GIB,
    ram_available_bytes=100 * GIB,
    gpus=(RTX_4080,),
    torch_version="2.13.0",
    torch_cuda="12.8",
)
LAPTOP = Machine(os="Linux 6.1", cpu="a CPU", cores=2, ram_total_bytes=8 * GIB, ram_available_bytes=4 * GIB)


def settings_of(home: Path, **device: object) -> Settings:
    return load_settings(storage={"home": home}, models={"variant": "demo", "use_hf_cache": False}, device=device)


def advisor_of(machine: Machine, home: Path, **device: object) -> tuple[Advisor, Tuning]:
    settings = settings_of(home, **device)
    tuning = Tuning(settings.device, lambda: machine)
    planner = Planner(Models(settings.models, home / "models"), settings.device, lambda: machine)
    return Advisor(settings, planner, tuning, lambda: machine, settings.storage.gains_path), tuning


def states(machine: Machine, home: Path, **device: object) -> dict[str, str]:
    return {
        report.optimization.id: report.standing.state for report in advisor_of(machine, home, **device)[0].reports()
    }


def facts_of(machine: Machine, plans: dict[ModelType, Plan] | None = None, **environment: str) -> Facts:
    device = choose_device(machine, "auto")
    precision = choose_precision(machine, device, None)
    return Facts(machine, device, precision, load_settings(), environment, plans or {})


def test_the_reports_twenty_are_there_in_its_order_and_words() -> None:
    names = {kind: [one.name for one in OPTIMIZATIONS if one.kind == kind] for kind in ("hardware", "system")}
    assert names["hardware"] == THE_HARDWARE_ONES.strip().splitlines()
    assert names["system"] == THE_SYSTEM_ONES.strip().splitlines()
    assert len(BY_ID) == len(OPTIMIZATIONS)


def test_on_the_reports_machine(tmp_path: Path) -> None:
    """The small weights in use need no streaming, a desktop has one NUMA node; the rest is on."""
    found = states(REPORTED, tmp_path)
    of_no_use = {name for name, state in found.items() if state == "not_applicable"}
    assert {"numa-placement", "cpu-offload", "cuda-allocation"} <= of_no_use
    assert {found[name] for name in ("tensor-cores", "vram-budget", "mixed-precision", "high-vram")} == {"active"}
    assert {found[name] for name in ("many-cores", "high-memory", "large-models", "weight-cache")} == {"active"}


def test_on_a_laptop_without_a_gpu(tmp_path: Path) -> None:
    found = states(LAPTOP, tmp_path)
    for_gpus = ("tensor-cores", "vram-budget", "cuda-environment", "numa-placement", "cpu-offload", "cuda-allocation")
    assert {found[name] for name in for_gpus} == {"not_applicable"}
    assert found["mixed-precision"] == "not_applicable"
    assert found["large-models"] == "not_applicable"
    assert found["many-cores"] == found["high-memory"] == "not_applicable"


machines = st.builds(
    Machine,
    os=st.sampled_from(["Windows 10", "Linux 6.1", "Linux 6.1 (WSL)", "Darwin 24"]),
    cpu=st.just("a CPU"),
    cores=st.integers(1, 256),
    ram_total_bytes=st.integers(1, 512).map(lambda count: count * GIB),
    ram_available_bytes=st.just(GIB),
    gpus=st.sampled_from([(), (RTX_4080,), (replace(RTX_4080, compute_capability=(6, 1), near_cores=None),)]),
    torch_version=st.just("2.13.0"),
    torch_cuda=st.sampled_from([None, "12.8"]),
    numa_nodes=st.integers(1, 4),
)


@given(machines)
def test_every_verdict_has_its_reason(machine: Machine) -> None:
    facts = facts_of(machine)
    for one in OPTIMIZATIONS:
        standing = one.standing(facts)
        assert standing.state in ("active", "not_applicable")
        assert standing.why.endswith((".", "more count as high.", "more count as many."))
        off = one.standing(facts, {one.id})
        assert off.state == ("off" if standing.state == "active" else "not_applicable")


@given(machines)
def test_weights_lie_near_the_gpu_only_where_there_is_a_far(machine: Machine) -> None:
    standing = hardware.numa(facts_of(machine))
    if machine.numa_nodes == 1 or not machine.gpus:
        assert standing.state == "not_applicable"


def test_what_the_user_chose_of_the_environment_is_told() -> None:
    said = hardware.cuda_environment(facts_of(replace(REPORTED, os="Linux 6.1"), CUDA_MODULE_LOADING="EAGER")).why
    assert "CUDA_MODULE_LOADING is EAGER" in said
    assert "Expandable segments are not" in hardware.cuda_environment(facts_of(REPORTED)).why


def of_more(name: str, machine: Machine, home: Path, **device: object) -> tuple[str, str]:
    reports = advisor_of(machine, home, **device)[0].reports()
    return next(one.standing for one in reports if one.optimization.id == name)


KERNELS = replace(REPORTED, attention_packages={"flash-attn": "2.8.3"}, has_triton=True)


def test_other_attention_is_active_where_plans_have_it(tmp_path: Path) -> None:
    assert of_more("attention", KERNELS, tmp_path)[0] == "not_applicable"
    state, why = of_more("attention", KERNELS, tmp_path, attention="flash")
    assert (state, "by flash" in why) == ("active", True)


@pytest.mark.parametrize(
    ("machine", "asked", "state", "said"),
    [
        (KERNELS, True, "active", "T2V-A14B, I2V-A14B, TI2V-5B are compiled"),
        (KERNELS, False, "not_applicable", "device.compile is off"),
        (REPORTED, True, "not_applicable", "install triton-windows"),
        (LAPTOP, True, "not_applicable", "There is no C++ compiler"),
        (replace(LAPTOP, has_cpp_compiler=True), True, "active", "are compiled"),
    ],
)
def test_compiled_blocks_are_active_where_plans_have_them(
    tmp_path: Path, machine: Machine, asked: bool, state: str, said: str
) -> None:
    found, why = of_more("compile", machine, tmp_path, compile=asked)
    assert found == state
    assert said in why


def test_caches_are_active_unless_they_may_keep_nothing(tmp_path: Path) -> None:
    facts = facts_of(LAPTOP)
    assert BY_ID["step-cache"].standing(facts).state == BY_ID["picture-cache"].standing(facts).state == "active"
    nothing = replace(facts, settings=load_settings(storage={"home": tmp_path, "picture_cache_bytes": 0}))
    assert BY_ID["picture-cache"].standing(nothing).state == "not_applicable"


def test_which_models_fit_the_ram_together_is_counted() -> None:
    def said(gib: int) -> str:
        return hardware.weight_cache(facts_of(replace(REPORTED, ram_total_bytes=gib * GIB))).why

    assert "none of the real models" in said(16)
    assert "TI2V-5B fit" in said(64)
    assert "TI2V-5B and" in said(128)
    assert "TI2V-5B and T2V-A14B and I2V-A14B fit" in said(256)


def test_one_that_is_turned_off_says_so_until_it_is_on_again(tmp_path: Path) -> None:
    advisor, tuning = advisor_of(REPORTED, tmp_path, optimizations_off=["vram-budget"])

    def state() -> str:
        return next(one.standing.state for one in advisor.reports() if one.optimization.id == "vram-budget")

    assert state() == "off"
    tuning.turn("vram-budget", on=True)
    assert state() == "active"


@pytest.mark.parametrize("name", ["vram-budgets", "tensor-cores", ""])
def test_what_can_not_be_turned_off_is_a_wrong_setting(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Leave it out"):
        advisor_of(REPORTED, tmp_path, optimizations_off=[name])


def test_what_was_measured_is_kept_for_this_machine_alone(tmp_path: Path) -> None:
    advisor, _ = advisor_of(LAPTOP, tmp_path)
    advisor.measure(["mmap-loading", "prompt-cache"])
    again, _ = advisor_of(LAPTOP, tmp_path)
    gains = {report.optimization.id: report.gain for report in again.reports() if report.gain}
    assert gains.keys() == {"mmap-loading"}
    assert gains["mmap-loading"].times_faster == pytest.approx(
        gains["mmap-loading"].without_s / gains["mmap-loading"].with_s, abs=1e-3
    )
    other, _ = advisor_of(replace(LAPTOP, cpu="another CPU"), tmp_path)
    assert not any(report.gain for report in other.reports())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"machine": 1}'])
def test_a_file_of_gains_that_is_none_is_begun_anew(content: bytes, tmp_path: Path) -> None:
    advisor, _ = advisor_of(LAPTOP, tmp_path)
    path = tmp_path / "cache" / "gains.json"
    path.parent.mkdir()
    path.write_bytes(content)
    assert not any(report.gain for report in advisor.reports())
    advisor.measure(["mmap-loading"])
    assert any(report.gain for report in advisor.reports())

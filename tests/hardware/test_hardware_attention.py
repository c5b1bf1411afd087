"""Attention kernels and the compiler are taken where the machine has them; what is not there is named with its cure."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from wan22.errors import ConfigurationError
from wan22.hardware.attention import choose_attention
from wan22.hardware.compiling import compile_obstacle
from wan22.hardware.machine import Gpu, Machine
from wan22.hardware.probe import has_cpp_compiler, probe

RTX_4080 = Gpu(0, "NVIDIA GeForce RTX 4080", 16 * 2**30, 15 * 2**30, (8, 9))
TESLA_T4 = replace(RTX_4080, name="Tesla T4", compute_capability=(7, 5))
TESLA_P40 = replace(RTX_4080, name="Tesla P40", compute_capability=(6, 1))
BARE = Machine("Linux 6.1", "a CPU", 8, 2**36, 2**35)
EQUIPPED = replace(
    BARE,
    gpus=(RTX_4080,),
    torch_cuda="13.0",
    attention_packages={"flash-attn": "2.8.3.post1", "sageattention": "2.1.1"},
    has_cpp_compiler=True,
    has_triton=True,
)


@pytest.mark.parametrize(
    ("setting", "attention"), [("auto", "native"), ("native", "native"), ("flash", "flash"), ("sage", "sage")]
)
def test_attention_is_that_of_the_setting_and_torchs_own_without_one(setting: str, attention: str) -> None:
    assert choose_attention(EQUIPPED, "cuda:0", setting) == attention


@pytest.mark.parametrize("setting", ["auto", "native"])
@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_torchs_own_is_everywhere(setting: str, device: str) -> None:
    assert choose_attention(BARE, device, setting) == "native"


@pytest.mark.parametrize(
    ("machine", "device", "setting", "said"),
    [
        (EQUIPPED, "cpu", "flash", "is for NVIDIA's GPUs, and tasks run on cpu. Set it to auto."),
        (BARE, "mps", "sage", "is for NVIDIA's GPUs, and tasks run on mps. Set it to auto."),
        (
            replace(EQUIPPED, gpus=(TESLA_T4,)),
            "cuda:0",
            "flash",
            "needs compute capability 8.0, and Tesla T4 has 7.5. Set it to auto.",
        ),
        (
            replace(EQUIPPED, attention_packages={"sageattention": "2.2.0"}),
            "cuda:0",
            "flash",
            "flash-attn>=2.6.3 is not installed. Install it or set it to auto.",
        ),
        (
            replace(EQUIPPED, attention_packages={"sageattention": "1.0.6"}),
            "cuda:0",
            "sage",
            "sageattention>=2.1.1 is not installed. Install it or set it to auto.",
        ),
    ],
)
def test_what_can_not_be_had_is_refused_with_a_cure(machine: Machine, device: str, setting: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        choose_attention(machine, device, setting)
    assert refused.value.detail.startswith(f"device.attention is {setting}, ")
    assert refused.value.detail.endswith(said)


def test_the_oldest_versions_are_those_that_diffusers_takes() -> None:
    from diffusers.models import attention_dispatch

    from wan22.hardware.attention import KERNELS

    ours = {name: ".".join(map(str, kernel.since)) for name, kernel in KERNELS.items()}
    theirs = attention_dispatch._REQUIRED_FLASH_VERSION, attention_dispatch._REQUIRED_SAGE_VERSION
    assert (ours["flash"], ours["sage"]) == theirs
    assert {name.value for name in attention_dispatch.AttentionBackendName} >= {"native", *ours}


@pytest.mark.parametrize(
    ("machine", "device", "said"),
    [
        (EQUIPPED, "cpu", None),
        (EQUIPPED, "cuda:0", None),
        (BARE, "cpu", "no C++ compiler"),
        (replace(EQUIPPED, has_triton=False), "cuda:0", "install triton"),
        (replace(EQUIPPED, has_triton=False, os="Windows 11"), "cuda:0", "install triton-windows"),
        (replace(EQUIPPED, gpus=(TESLA_P40,)), "cuda:0", "older than compute capability 7.0"),
        (EQUIPPED, "mps", "for NVIDIA's GPUs and for CPUs"),
    ],
)
def test_what_compiling_lacks_is_said(machine: Machine, device: str, said: str | None) -> None:
    obstacle = compile_obstacle(machine, device)
    assert (said is None) == (obstacle is None)
    assert said is None or said in str(obstacle)


def test_the_compiler_is_the_one_that_torch_would_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / ("mine.exe" if sys.platform == "win32" else "mine")
    compiler.touch(mode=0o755)
    assert has_cpp_compiler(str(compiler))
    assert not has_cpp_compiler(str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not has_cpp_compiler(None)


def test_a_compiler_without_pythons_headers_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    assert not has_cpp_compiler(sys.executable)


def test_a_probe_tells_of_packages_that_are_installed() -> None:
    assert set(probe().attention_packages) <= {"flash-attn", "sageattention"}
    assert all(version[0].isdigit() for version in probe().attention_packages.values())

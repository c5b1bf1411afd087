"""From a machine to a device, dtypes and the room on its GPU, each with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan22.errors import ConfigurationError
from wan22.hardware.choose import choose_device, choose_precision, gpu_of, vram_room
from wan22.hardware.machine import Gpu, Machine

GB, MIB = 10**9, 2**20
BARE = Machine("Linux 6.1", "a CPU", 8, 64 * GB, 60 * GB, torch_version="2.13.0+cpu")
RTX_4080 = Gpu(0, "NVIDIA GeForce RTX 4080", 16_376 * MIB, 15_000 * MIB, (8, 9), "552.22")
RTX_4090 = Gpu(0, "NVIDIA GeForce RTX 4090", 24_564 * MIB, 24_000 * MIB, (8, 9), "552.22")
TESLA_T4 = Gpu(0, "Tesla T4", 15_360 * MIB, 15_000 * MIB, (7, 5), "552.22")
TITAN_RTX = replace(TESLA_T4, name="TITAN RTX", vram_total_bytes=24_576 * MIB)
SILENT = replace(RTX_4080, compute_capability=None)
H200 = Gpu(0, "NVIDIA H200", 143_771 * MIB, 143_000 * MIB, (9, 0), "580.65")
MAC = replace(BARE, os="Darwin 25.0", has_mps=True, torch_version="2.13.0")


def having(*gpus: Gpu, **changes: object) -> Machine:
    """A machine with these cards and a torch that can use them."""
    return replace(BARE, gpus=gpus, **{"torch_version": "2.13.0", "torch_cuda": "13.0", **changes})  # type: ignore[arg-type] - mixed


SECOND = replace(RTX_4090, index=1)


@pytest.mark.parametrize(
    ("machine", "setting", "device"),
    [
        (BARE, "auto", "cpu"),
        (having(RTX_4080), "auto", "cuda:0"),
        (having(RTX_4080, torch_cuda=None), "auto", "cpu"),
        (having(SECOND), "auto", "cuda:1"),
        (MAC, "auto", "mps"),
        (MAC, "cpu", "cpu"),
        (MAC, "MPS", "mps"),
        (having(RTX_4080), "cpu", "cpu"),
        (having(RTX_4080), " CUDA ", "cuda:0"),
        (having(RTX_4080, SECOND), "cuda:1", "cuda:1"),
    ],
)
def test_a_device_is_chosen(machine: Machine, setting: str, device: str) -> None:
    assert choose_device(machine, setting) == device


@pytest.mark.parametrize(
    ("machine", "setting", "cure"),
    [
        (BARE, "cuda", "no NVIDIA GPU was found. Set it to auto"),
        (BARE, "mps", "no Apple GPU. Set it to auto"),
        (having(RTX_4080, SECOND), "cuda:2", "there is cuda:0, cuda:1. Set it to one of these"),
        (having(SECOND), "cuda", "there is cuda:1. Set it"),
        (having(RTX_4080, torch_cuda=None), "cuda", "CPU build. Install a CUDA build"),
        (BARE, "gpu", "Set it to auto, cpu, cuda, cuda:N or mps"),
        (BARE, "cuda:", "Set it to auto, cpu, cuda"),
        (BARE, "cuda:-1", "Set it to auto, cpu, cuda"),
        (BARE, "", "Set it to auto, cpu, cuda"),
    ],
)
def test_a_device_that_is_not_there_is_refused_with_a_cure(machine: Machine, setting: str, cure: str) -> None:
    with pytest.raises(ConfigurationError, match=cure):
        choose_device(machine, setting)


@pytest.mark.parametrize(
    ("machine", "asked", "dtypes"),
    [
        (BARE, None, "fp32 fp32 fp32"),
        (BARE, "bf16", "bf16 bf16 bf16"),
        (BARE, "fp16", "fp16 fp32 fp32"),
        (replace(BARE, cpu_bf16_fast=True), None, "bf16 bf16 bf16"),
        (replace(BARE, cpu_bf16_fast=True), "fp32", "fp32 fp32 fp32"),
        (having(RTX_4080), None, "bf16 bf16 bf16"),
        (having(RTX_4080), "fp16", "fp16 bf16 bf16"),
        (having(RTX_4080), "fp32", "fp32 fp32 fp32"),
        (having(RTX_4090), None, "bf16 bf16 fp32"),
        (having(H200), None, "bf16 bf16 fp32"),
        (having(TESLA_T4), None, "fp16 fp32 fp16"),
        (having(TITAN_RTX), None, "fp16 fp32 fp32"),
        (having(SILENT), None, "bf16 bf16 bf16"),
        (MAC, None, "bf16 bf16 bf16"),
        (BARE, "int8", "int8 fp32 fp32"),
        (having(RTX_4080), "int8", "int8 bf16 bf16"),
        (having(RTX_4090), "fp8", "fp8 bf16 fp32"),
        (having(TESLA_T4), "fp8", "fp8 fp32 fp16"),
    ],
)
def test_dtypes_suit_the_device(machine: Machine, asked: str | None, dtypes: str) -> None:
    precision = choose_precision(machine, choose_device(machine, "auto"), asked)
    assert f"{precision.transformer} {precision.text_encoder} {precision.vae}" == dtypes
    assert precision.why


CARDS = st.builds(
    Gpu,
    index=st.just(0),
    name=st.just("a card"),
    vram_total_bytes=st.integers(1, 200 * GB),
    vram_free_bytes=st.integers(0, 200 * GB),
    compute_capability=st.none() | st.tuples(st.integers(6, 12), st.integers(0, 9)),
)


@given(CARDS, st.sampled_from([None, "fp16", "bf16", "fp32", "int8", "fp8"]), st.sampled_from(["cpu", "cuda:0"]))
def test_on_every_card_the_asked_dtype_holds_and_the_text_encoder_is_never_fp16(
    card: Gpu, asked: str | None, device: str
) -> None:
    precision = choose_precision(having(card), device, asked)
    assert precision.text_encoder != "fp16", "T5 overflows in it"
    assert {precision.compute, precision.vae} <= {"fp16", "bf16", "fp32"}
    assert asked in (None, precision.transformer)
    own = (
        choose_precision(having(card), device, None).transformer if asked in ("int8", "fp8") else precision.transformer
    )
    assert precision.compute == own


def test_what_is_free_counts_and_the_desktop_keeps_its_share() -> None:
    idle = replace(RTX_4080, vram_free_bytes=RTX_4080.vram_total_bytes)
    assert vram_room(idle, reserve_bytes=GB) == RTX_4080.vram_total_bytes - GB
    busy = replace(RTX_4080, vram_free_bytes=9 * GB)
    assert vram_room(busy, reserve_bytes=GB) == 9 * GB, "others hold more than their share already"


def test_what_the_last_task_left_loaded_does_not_change_the_room() -> None:
    idle = replace(RTX_4080, vram_free_bytes=RTX_4080.vram_total_bytes)
    loaded = replace(RTX_4080, vram_free_bytes=RTX_4080.vram_total_bytes - 9 * GB)
    assert vram_room(loaded, reserve_bytes=GB, ours_bytes=9 * GB) == vram_room(idle, reserve_bytes=GB)


def test_a_reserve_larger_than_the_card_leaves_nothing() -> None:
    assert vram_room(RTX_4080, reserve_bytes=20 * GB) == 0


def test_the_card_of_a_device() -> None:
    machine = having(RTX_4080, SECOND)
    assert gpu_of(machine, "cuda:1") == SECOND
    assert gpu_of(machine, "cpu") is None
    assert gpu_of(machine, "cuda:7") is None

"""Plans in int8 and fp8: which weights, what is calculated in, how much they hold, and a no with its cure."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from wan22.errors import InvalidRequest
from wan22.hardware.machine import Gpu, Machine
from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import SHIPPED
from wan22.models.files import parameters
from wan22.models.variants import Models
from wan22.orchestrator.planning import Planner
from wan22.settings import DeviceSettings, ModelsSettings
from wan22.tasks import Draft, ModelType, Plan

GB = 10**9
CPU = Machine("Linux 6.1", "a CPU", 8, 64 * GB, 60 * GB, torch_version="2.13.0")
RTX_4080 = Gpu(0, "NVIDIA GeForce RTX 4080", 16 * GB, 15 * GB, (8, 9))
T4 = Gpu(0, "Tesla T4", 16 * GB, 15 * GB, (7, 5))
MACHINES = MappingProxyType(
    {
        "cpu": CPU,
        "amx": replace(CPU, cpu_bf16_fast=True),
        "4080": replace(CPU, gpus=(RTX_4080,), torch_cuda="13.0"),
        "t4": replace(CPU, gpus=(T4,), torch_cuda="13.0"),
        "mac": replace(CPU, has_mps=True),
    }
)
SPEC = SPECS[ModelType.TI2V_5B]
WAVES = Draft(model_type=ModelType.TI2V_5B, prompt="waves")


def put(home: Path, *names: str) -> Models:
    """Folders with these names in the home's models, which look whole."""
    for name in names:
        shutil.copytree(SHIPPED / SPEC.slug, home / "models" / SPEC.slug / name)
    return Models(ModelsSettings(use_hf_cache=False), home / "models")


def planned(models: Models, asked: str | None, machine: str = "cpu") -> Plan:
    planner = Planner(models, DeviceSettings(), lambda: MACHINES[machine])
    return planner.prepare(WAVES.model_copy(update={"quantization": asked}))[1]


@pytest.mark.parametrize("bits", ["int8", "fp8"])
@pytest.mark.parametrize(
    ("machine", "compute", "others"),
    [("cpu", "fp32", ("fp32", "fp32")), ("amx", "bf16", ("bf16", "bf16")), ("4080", "bf16", ("bf16", "bf16"))],
)
def test_the_device_says_what_is_calculated_in(tmp_path, bits, machine, compute, others) -> None:
    plan = planned(put(tmp_path), bits, machine)
    assert plan.precision == {"transformer": bits, "text_encoder": others[0], "vae": others[1]}
    assert plan.compute == compute
    assert compute in next(choice.why for choice in plan.choices if choice.what == "precision")


def test_without_them_the_transformers_calculate_in_their_own_dtype(tmp_path) -> None:
    assert planned(put(tmp_path), "bf16").compute == "bf16"
    assert planned(put(tmp_path), None).compute == "fp32"


@pytest.mark.parametrize(
    ("machine", "bits", "cure"),
    [
        ("t4", "int8", "overflows in fp16.*: use fp8 or fp16"),
        ("mac", "fp8", "is not there on Apple's.*: use int8 or bf16"),
    ],
)
def test_what_a_device_can_t_do_is_refused_with_a_cure(tmp_path, machine, bits, cure) -> None:
    with pytest.raises(InvalidRequest, match=rf"quantization: {bits} {cure}"):
        planned(put(tmp_path), bits, machine)
    other = {"int8": "fp8", "fp8": "int8"}[bits]
    assert planned(put(tmp_path), other, machine).precision["transformer"] == other


def test_weights_that_are_kept_so_are_taken_where_they_are_asked_for(tmp_path) -> None:
    models = put(tmp_path, "bf16", "int8")
    assert planned(models, None).variant == "bf16"
    assert planned(models, "int8").variant == "int8"
    assert planned(models, "fp8").variant == "bf16", "they are narrowed while they are read"


def test_weights_that_are_kept_so_can_be_had_only_so(tmp_path) -> None:
    models = put(tmp_path, "int8")
    assert planned(models, None).precision["transformer"] == "int8"
    with pytest.raises(InvalidRequest, match=r"are kept in int8: leave it out, or set models.variant to others"):
        planned(models, "bf16")


def test_the_setting_of_a_variant_is_obeyed(tmp_path) -> None:
    put(tmp_path, "bf16", "int8")
    models = Models(ModelsSettings(variant="bf16", use_hf_cache=False), tmp_path / "models")
    assert planned(models, "int8").variant == "bf16"


def test_the_bytes_are_those_of_8_bits(tmp_path) -> None:
    models = put(tmp_path)
    variant = models.get(ModelType.TI2V_5B)
    wide, narrow = (
        models.loaded_bytes(variant, {"transformer": kind, "text_encoder": "bf16", "vae": "bf16"})
        for kind in ("bf16", "int8")
    )
    count = (wide - narrow) / (2 - 1.008)
    assert count == pytest.approx(parameters(variant.path)["transformer"], abs=2)

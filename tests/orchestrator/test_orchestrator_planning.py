"""Planning: the plan says which weights, where, how precise and why; wrong requests never get one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wan22.errors import ConfigurationError, InvalidRequest, ModelMissing
from wan22.hardware.machine import Gpu, Machine
from wan22.models.variants import Models
from wan22.orchestrator.planning import Planner
from wan22.settings import DeviceSettings, ModelsSettings
from wan22.tasks import Draft, ImageRef, ModelType

GIB = 2**30
LAPTOP = Machine(os="Linux", cpu="a CPU", cores=8, ram_total_bytes=16 * GIB, ram_available_bytes=12 * GIB)
RTX_4080 = Gpu(0, "NVIDIA GeForce RTX 4080", 16 * GIB, 15 * GIB, (8, 9), "560.94")
WORKSTATION = replace(LAPTOP, gpus=(RTX_4080,), torch_version="2.13.0+cu126", torch_cuda="12.6")


def planner(
    folder: Path,
    machine: Machine = LAPTOP,
    device: DeviceSettings | None = None,
    models: ModelsSettings | None = None,
) -> Planner:
    return Planner(Models(models or ModelsSettings(), folder), device or DeviceSettings(), lambda: machine)


CAT = Draft(model_type=ModelType.T2V_A14B, prompt="a cat")


@pytest.mark.parametrize("model_type", [ModelType.T2V_A14B, ModelType.TI2V_5B])
def test_a_step_cache_is_planned_where_it_is_asked_for_with_a_threshold_for_each_expert(
    tmp_path: Path, model_type: ModelType
) -> None:
    asked = planner(tmp_path).prepare(CAT.model_copy(update={"model_type": model_type, "step_cache": True}))[1]
    assert asked.step_cache is not None
    assert len(asked.step_cache) == (2 if model_type is ModelType.T2V_A14B else 1)
    (choice,) = (choice for choice in asked.choices if choice.what == "step_cache")
    assert choice.choice.split(" and ") == [f"{threshold:g}" for threshold in asked.step_cache]
    assert choice.why.startswith("as asked")
    left_out = planner(tmp_path).prepare(CAT.model_copy(update={"model_type": model_type}))[1]
    assert left_out.step_cache is None


def test_the_demo_weights_are_planned_where_there_are_no_others(tmp_path: Path) -> None:
    request, plan = planner(tmp_path).prepare(CAT)
    assert (plan.variant, plan.model_files, plan.device, plan.offload) == ("demo", "t2v-A14B/demo", "cpu", "none")
    assert set(plan.precision.values()) == {"fp32"}
    assert (plan.render.output_width, plan.render.output_height) == (request.width, request.height) == (1280, 720)


@pytest.mark.parametrize("model_type", ModelType)
def test_the_default_plan_of_a_model_is_that_of_a_task_that_names_no_more(
    tmp_path: Path, model_type: ModelType
) -> None:
    default = planner(tmp_path, WORKSTATION).default(model_type)
    assert (default.model_files.split("/")[0].lower(), default.device) == (model_type.value.lower(), "cuda:0")
    image = ImageRef(id="upl_" + "1" * 32, width=64, height=64) if model_type is ModelType.I2V_A14B else None
    _, plan = planner(tmp_path, WORKSTATION).prepare(Draft(model_type=model_type, prompt="a cat"), image=image)
    same = ("variant", "device", "precision", "offload")
    assert [getattr(default, name) for name in same] == [getattr(plan, name) for name in same]


def test_every_choice_has_its_reason(tmp_path: Path) -> None:
    _, plan = planner(tmp_path, WORKSTATION).prepare(CAT)
    told = {choice.what for choice in plan.choices}
    assert told == {"variant", "device", "precision", "offload", "attention", "batch"}
    assert all(choice.why for choice in plan.choices)
    assert "RTX 4080" in next(choice.why for choice in plan.choices if choice.what == "device")


def test_a_gpu_with_a_torch_that_can_use_it_is_taken(tmp_path: Path) -> None:
    _, plan = planner(tmp_path, WORKSTATION).prepare(CAT)
    assert (plan.device, plan.precision["transformer"]) == ("cuda:0", "bf16")


def test_a_gpu_that_torch_cannot_use_is_left_alone_or_named(tmp_path: Path) -> None:
    cpu_build = replace(WORKSTATION, torch_cuda=None)
    assert planner(tmp_path, cpu_build).prepare(CAT)[1].device == "cpu"
    with pytest.raises(ConfigurationError, match="CPU build"):
        planner(tmp_path, cpu_build, DeviceSettings(device="cuda")).prepare(CAT)


def test_a_request_may_ask_for_a_precision_and_a_setting_is_the_default(tmp_path: Path) -> None:
    fixed = planner(tmp_path, WORKSTATION, DeviceSettings(precision="fp16"))
    assert fixed.prepare(CAT)[1].precision["transformer"] == "fp16"
    asked = CAT.model_copy(update={"quantization": "fp32"})
    assert fixed.prepare(asked)[1].precision["transformer"] == "fp32"


def test_a_seed_is_picked_once_and_then_stated(tmp_path: Path) -> None:
    seeds = {planner(tmp_path).prepare(CAT)[0].seed for _ in range(5)}
    assert len(seeds) == 5
    assert planner(tmp_path).prepare(CAT.model_copy(update={"seed": 7}))[0].seed == 7


def test_a_last_image_keeps_the_last_frame(tmp_path: Path) -> None:
    picture = ImageRef(id="upl_" + "0" * 32, width=64, height=64)
    draft = Draft(model_type=ModelType.I2V_A14B, num_frames=16, image="x", last_image="x")
    _, plan = planner(tmp_path).prepare(draft, image=picture, last_image=picture)
    assert (plan.render.keep[0], plan.render.keep[-1], len(plan.render.keep)) == (0, 16, 16)


@pytest.mark.parametrize(
    ("given", "model"),
    [((), ModelType.T2V_A14B), (("image",), ModelType.I2V_A14B), (("image", "last_image"), ModelType.I2V_A14B)],
)
def test_a_model_is_chosen_from_the_inputs_where_that_is_asked_for(
    tmp_path: Path, given: tuple[str, ...], model: ModelType
) -> None:
    pictures = dict.fromkeys(given, ImageRef(id="upl_" + "0" * 32, width=64, height=64))
    request, plan = planner(tmp_path).prepare(Draft(prompt="a cat"), **pictures, choose_model=True)
    assert request.model_type is model
    assert (plan.choices[0].what, plan.choices[0].choice) == ("model", model.value)
    assert plan.choices[0].why


def test_a_model_that_is_named_is_not_chosen(tmp_path: Path) -> None:
    request, plan = planner(tmp_path).prepare(
        CAT.model_copy(update={"model_type": ModelType.TI2V_5B}), choose_model=True
    )
    assert request.model_type is ModelType.TI2V_5B
    assert "model" not in {choice.what for choice in plan.choices}


def test_wrong_requests_and_missing_weights_get_no_plan(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="model_type"):
        planner(tmp_path).prepare(Draft(prompt="a cat"))
    with pytest.raises(InvalidRequest, match="num_frames"):
        planner(tmp_path).prepare(CAT.model_copy(update={"num_frames": 10_000}))
    with pytest.raises(ModelMissing):
        planner(tmp_path, models=ModelsSettings(variant="dev")).prepare(CAT)

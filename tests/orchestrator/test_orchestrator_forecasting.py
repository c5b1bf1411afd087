"""Forecasts: near what others have measured, never better with less, and a refusal's cure is one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import samples
from support.weight_files import write_sparse

from wan22.api.examples import ESTIMATE
from wan22.errors import InvalidRequest
from wan22.hardware.machine import Gpu, Machine
from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import SHIPPED
from wan22.models.needs import render_of
from wan22.models.variants import Models
from wan22.orchestrator.fitting import fitted
from wan22.orchestrator.forecasting import Where, forecast
from wan22.orchestrator.placing import Weights
from wan22.orchestrator.planning import Planner
from wan22.orchestrator.rungs import SLICE_TOKENS
from wan22.settings import DeviceSettings, ModelsSettings
from wan22.tasks import Draft, Forecast, ModelType, Parts, Phase, Plan, Request, Seen

GIB = 2**30
T2V, I2V, TI2V = ModelType.T2V_A14B, ModelType.I2V_A14B, ModelType.TI2V_5B
ORDER = {"yes": 0, "tight": 1, "no": 2}


def machine(gpu: str | None, *, vram_gib: float = 16, ram_gib: float = 128) -> Machine:
    """With torch for CUDA if there is a GPU."""
    vram, ram = int(vram_gib * GIB), int(ram_gib * GIB)
    gpus = (Gpu(0, gpu, vram, vram, (8, 9)),) if gpu else ()
    return Machine("Linux", "a CPU", 16, ram, ram, gpus, "2.13.0", "12.6" if gpu else None)


def foretold(
    gpu: str | None,
    model_type: ModelType,
    size: tuple[int, int, int],
    *,
    steps: int = 40,
    guidance: float = 4.0,
    offload: str = "group",
    tile: int | None = 256,
    vram_gib: float = 16,
    ram_gib: float = 128,
    seen: Seen | None = None,
) -> Forecast:
    """Of the real weights in bf16, where they are as told."""
    request, plan, weights = asked(gpu, model_type, size, steps=steps, guidance=guidance)
    streamed = gpu is not None and offload != "none"
    plan = plan.model_copy(
        update={"offload": offload if gpu else "none", "vae_tile": tile if streamed else None},
    )
    where = Where(machine(gpu, vram_gib=vram_gib, ram_gib=ram_gib), reserve_bytes=10**9)
    return forecast(request, plan, where, weights, seen=seen)


def asked(
    gpu: str | None, model_type: ModelType, size: tuple[int, int, int], *, steps: int = 40, guidance: float = 4.0
) -> tuple[Request, Plan, Weights]:
    """A request, its plan before anything is placed, and the real weights in bf16."""
    spec, second = SPECS[model_type], None if model_type is TI2V else guidance
    width, height, frames = size
    request = samples.request(
        model_type=model_type,
        width=width,
        height=height,
        num_frames=frames,
        steps=steps,
        guidance_scale=guidance,
        guidance_scale_2=second,
    )
    plan = samples.plan(
        variant="dev",
        device="cuda:0" if gpu else "cpu",
        precision=dict.fromkeys(("transformer", "text_encoder", "vae"), "bf16"),
        compute="bf16",
        offload="none",
        render=render_of(spec, *size),
    )
    counts = {name: 2 * count for name, count in spec.parameters.items()}
    layers = spec.transformer["num_layers"]
    weights = Weights(counts["text_encoder"], counts["transformer"], len(spec.transformers), counts["vae"], layers)
    return request, plan, weights


def denoising(found: Forecast) -> float:
    (seconds,) = (one.seconds for one in found.phases if one.phase is Phase.DENOISE)
    assert seconds is not None
    return seconds


@pytest.mark.parametrize(
    ("gpu", "vram_gib", "model_type", "size", "steps", "guidance", "measured_s"),
    [
        # Wan 2.2's own table of computing times (one GPU, whole jobs)
        ("NVIDIA GeForce RTX 4090", 24, TI2V, (1280, 704, 121), 50, 5.0, 534.7),
        ("NVIDIA H100 80GB HBM3", 80, T2V, (1280, 720, 81), 40, 4.0, 1041.5),
        ("NVIDIA H100 80GB HBM3", 80, T2V, (832, 480, 81), 40, 4.0, 326.9),
        ("NVIDIA A100-SXM4-80GB", 80, T2V, (1280, 720, 81), 40, 4.0, 2735.7),
        # diffusers by LightX2V's README, 30.5 s a step
        ("NVIDIA GeForce RTX 4090 D", 24, T2V, (832, 480, 81), 40, 4.0, 1220.0),
    ],
)
def test_what_others_measured_is_foretold_within_a_fifth(
    gpu: str,
    vram_gib: float,
    model_type: ModelType,
    size: tuple[int, int, int],
    steps: int,
    guidance: float,
    measured_s: float,
) -> None:
    found = foretold(gpu, model_type, size, steps=steps, guidance=guidance, vram_gib=vram_gib)
    assert found.basis == "published"
    assert found.total_s == pytest.approx(measured_s, rel=0.2)


def test_the_documented_example_is_what_is_foretold_for_it() -> None:
    request, plan, weights = asked("NVIDIA GeForce RTX 4080", T2V, (1280, 720, 16), guidance=4.0)
    where = Where(machine("NVIDIA GeForce RTX 4080"), reserve_bytes=10**9)
    plan = fitted(request, plan, weights, where, narrow="int8")
    shown = Plan.model_validate(ESTIMATE["plan"])
    placed = ("offload", "resident_blocks", "vae_tile", "slices", "choices")
    assert [getattr(plan, name) for name in placed] == [getattr(shown, name) for name in placed]
    found, example = forecast(request, plan, where, weights), Forecast.model_validate(ESTIMATE["forecast"])
    assert found.said == example.said
    assert found.total_s == pytest.approx(example.total_s, abs=0.1)
    assert found.peak_vram_bytes == pytest.approx(example.peak_vram_bytes, rel=1e-3)
    assert [one.phase for one in found.phases] == [one.phase for one in example.phases]


SIZES = st.tuples(
    st.integers(8, 80).map(lambda n: 32 * n), st.integers(8, 45).map(lambda n: 32 * n), st.integers(0, 20)
)


@given(model_type=st.sampled_from([T2V, I2V, TI2V]), size=SIZES, more=st.sampled_from([0, 1, 2]))
def test_more_pixels_or_frames_never_take_less(model_type: ModelType, size: tuple[int, int, int], more: int) -> None:
    width, height, further = size
    sides = [width, height, 4 * further + 1]
    smaller = foretold("NVIDIA GeForce RTX 4080", model_type, (sides[0], sides[1], sides[2]))
    sides[more] += 32
    larger = foretold("NVIDIA GeForce RTX 4080", model_type, (sides[0], sides[1], sides[2]))
    assert denoising(larger) >= denoising(smaller)
    assert (larger.peak_vram_bytes or 0) >= (smaller.peak_vram_bytes or 0)
    assert ORDER[larger.fits] >= ORDER[smaller.fits]


@given(size=SIZES, vram_gib=st.floats(2, 100), offload=st.sampled_from(["none", "group"]))
def test_more_memory_never_fits_less_and_what_fits_is_within_it(
    size: tuple[int, int, int], vram_gib: float, offload: str
) -> None:
    sides = (size[0], size[1], 4 * size[2] + 1)
    found = foretold("NVIDIA GeForce RTX 4080", T2V, sides, vram_gib=vram_gib, offload=offload)
    more = foretold("NVIDIA GeForce RTX 4080", T2V, sides, vram_gib=2 * vram_gib, offload=offload)
    assert ORDER[more.fits] <= ORDER[found.fits]
    if found.fits != "no":
        assert (found.peak_vram_bytes or 0) <= vram_gib * GIB - 10**9


def test_streaming_holds_less_on_the_gpu_and_more_in_ram() -> None:
    size = (1280, 720, 16)
    resident, streamed = (foretold("NVIDIA H200", T2V, size, vram_gib=140, offload=how) for how in ("none", "group"))
    assert (streamed.peak_vram_bytes or 0) < (resident.peak_vram_bytes or 0) / 10
    assert streamed.peak_ram_bytes > resident.peak_ram_bytes


def test_a_slow_bus_is_the_limit_where_a_pass_is_short() -> None:
    size = (256, 256, 1)
    resident, streamed = (foretold("NVIDIA H200", T2V, size, vram_gib=140, offload=how) for how in ("none", "group"))
    passes, expert_bytes, bus = 80, 2 * SPECS[T2V].transformer_parameters, 50e9
    assert denoising(streamed) == pytest.approx(passes * expert_bytes / bus, rel=0.1)
    assert denoising(resident) < denoising(streamed)


def test_what_ran_here_is_believed_before_what_is_published() -> None:
    parts = Parts(denoise=10.0, decode=2.0, encode=1.0, rest=0.5)
    for is_same, basis in ((True, "measured"), (False, "calibrated")):
        found = foretold("NVIDIA GeForce RTX 4080", T2V, (1280, 720, 16), seen=Seen(parts, is_same_size=is_same))
        assert (found.basis, found.total_s, denoising(found)) == (basis, 13.5, 10.0)


def test_of_a_device_in_no_table_no_time_is_told() -> None:
    for gpu in ("NVIDIA GeForce GTX 1660", None):
        found = foretold(gpu, T2V, (1280, 720, 16))
        assert (found.basis, found.total_s) == ("none", None)
        assert "not known" in found.said


def test_a_cpu_needs_ram_for_the_weights_and_for_what_is_between() -> None:
    found = foretold(None, T2V, (1280, 720, 16))
    assert found.peak_vram_bytes is None
    assert found.peak_ram_bytes > 2 * sum(SPECS[T2V].parameters.values())
    assert found.fits == "yes"
    assert foretold(None, T2V, (1280, 720, 16), ram_gib=90).fits == "tight"
    assert foretold(None, T2V, (1280, 720, 16), ram_gib=40).fits == "no"


def planner(home: Path, where: Machine) -> Planner:
    """Over weights of the real ones' size, as sparse files."""
    spec, folder = SPECS[T2V], home / "t2v-A14B" / "dev"
    shutil.copytree(SHIPPED / "t2v-A14B", folder)
    counts = {
        **spec.parameters,
        "transformer": spec.transformer_parameters,
        "transformer_2": spec.transformer_parameters,
    }
    for name, count in counts.items():
        (file,) = (folder / name).glob("*.safetensors")
        write_sparse(file, {"all": ("BF16", (count,))})
    return Planner(Models(ModelsSettings(), home), DeviceSettings(), lambda: where)


@pytest.mark.parametrize("size", [(1920, 1080), (2560, 1440)])
def test_a_request_that_can_not_fit_is_refused_and_its_cure_is_accepted(tmp_path: Path, size: tuple[int, int]) -> None:
    plans = planner(tmp_path, machine("NVIDIA GeForce RTX 4080", vram_gib=8))
    draft = Draft(model_type=T2V, prompt="a cat", width=size[0], height=size[1], num_frames=81)
    with pytest.raises(InvalidRequest, match="does not fit") as refused:
        plans.prepare(draft)
    (wrong,) = refused.value.errors
    assert wrong.field == "num_frames"
    frames = int(wrong.message.rpartition("Ask for ")[2].split()[0])
    request, plan = plans.prepare(draft.model_copy(update={"num_frames": frames}))
    assert (request.num_frames, plan.offload) == (frames, "group")
    assert "slices" in [choice.what for choice in plan.choices]
    assert plan.predicted_peak_vram_bytes is not None
    more = draft.model_copy(update={"num_frames": frames + 4})
    with pytest.raises(InvalidRequest):
        plans.prepare(more)
    assert plans.prepare(more, must_fit=False)[0].num_frames == frames + 4


@pytest.fixture(scope="module")
def weights_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With weights of the real ones' size."""
    home = tmp_path_factory.mktemp("weights")
    planner(home, machine(None))
    return home


@settings(max_examples=15, deadline=None)
@given(
    vram_gib=st.floats(3, 20),
    ram_gib=st.sampled_from([48, 128]),
    size=st.sampled_from([(854, 480), (1280, 720), (1920, 1080), (2560, 1440)]),
    frames=st.integers(1, 81),
)
def test_whatever_is_refused_the_cure_is_accepted(
    weights_home: Path, vram_gib: float, ram_gib: int, size: tuple[int, int], frames: int
) -> None:
    where = machine("NVIDIA GeForce RTX 4080", vram_gib=vram_gib, ram_gib=ram_gib)
    plans = Planner(Models(ModelsSettings(), weights_home), DeviceSettings(), lambda: where)
    draft = Draft(model_type=T2V, prompt="a cat", width=size[0], height=size[1], num_frames=frames)
    try:
        plans.prepare(draft)
    except InvalidRequest as refused:
        (wrong,) = refused.errors
        asked_for = wrong.message.rpartition("Ask for ")[2].rstrip(".")
        if wrong.field == "num_frames":
            cured = {"num_frames": int(asked_for.split()[0])}
        elif wrong.field == "width":
            cured = dict(zip(("width", "height"), map(int, asked_for.split("x")), strict=True))
        else:
            assert wrong.field == "model_type"
            cured = {"quantization": "int8"} if "int8" in asked_for else {"model_type": TI2V}
        plans.prepare(draft.model_copy(update=cured))


def test_what_fits_in_slices_alone_is_run_in_slices(tmp_path: Path) -> None:
    plans = planner(tmp_path, machine("NVIDIA GeForce RTX 4080"))
    draft = Draft(model_type=T2V, prompt="a cat", width=1920, height=1080, num_frames=81)
    request, plan = plans.prepare(draft)
    assert plan.slices == SLICE_TOKENS
    assert "slices" in [choice.what for choice in plan.choices]
    whole = plan.model_copy(update={"slices": None})
    assert plans.forecast(request, plan).fits != "no"
    assert plans.forecast(request, whole).fits == "no"
    assert plans.again(request) == plan, "also when it is tried again"
    assert plans.prepare(draft.model_copy(update={"num_frames": 17}))[1].slices is None


def test_weights_that_are_larger_than_the_ram_are_refused_before_they_are_read(tmp_path: Path) -> None:
    plans = planner(tmp_path, machine("NVIDIA GeForce RTX 4080", ram_gib=32))
    with pytest.raises(InvalidRequest, match="Ask for TI2V-5B, the smallest"):
        plans.prepare(Draft(model_type=T2V, prompt="a cat"))
    assert plans.default(T2V).offload == "group", "a load ahead is no task, and has an error of its own"

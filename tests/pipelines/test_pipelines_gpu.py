"""On a GPU: weights that stay, weights that are streamed, and that all memory comes back. Skipped without one."""

from __future__ import annotations

import gc

import pytest
from pipelines_kit import I2V, PICTURE, T2V, TI2V, Recorder, ask, frames_of, latents_of, load_from, plan_of

from wan22.errors import Cancelled
from wan22.pipelines.phases import decode
from wan22.pipelines.slices import in_slices
from wan22.tasks import Phase

GPU = "cuda:0"
BF16 = {"transformer": "bf16", "text_encoder": "bf16", "vae": "fp32"}
every_mode = pytest.mark.parametrize(("model_type", "images"), [(T2V, ()), (I2V, (PICTURE,)), (TI2V, (PICTURE,))])


@pytest.fixture(autouse=True)
def gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("torch has no CUDA device here")


@every_mode
def test_the_gpu_gives_about_what_the_cpu_gives(models, demos, model_type, images) -> None:
    """The noise is the same, being drawn on the CPU."""
    request = ask(model_type)
    latents = latents_of(load_from(demos(model_type), model_type, device=GPU), request, *images)
    assert (latents.cpu() - latents_of(models(model_type), request, *images)).abs().max() < 0.05


@every_mode
@pytest.mark.parametrize("precision", [{}, BF16])
def test_streamed_weights_give_the_same_frames(demos, model_type, images, precision) -> None:
    request = ask(model_type)
    stay, stream = (
        load_from(
            demos(model_type),
            model_type,
            device=GPU,
            offload=offload,
            **({"precision": precision} if precision else {}),
        )
        for offload in ("none", "group")
    )
    expected = latents_of(stay, request, *images)
    for _ in range(2):  # the first forward finds out the order in which layers are fetched ahead
        assert (latents_of(stream, request, *images) - expected).abs().max() < 1e-3
    assert (frames_of(stream, expected) == frames_of(stay, expected)).all()


@every_mode
@pytest.mark.parametrize("offload", ["none", "group"])
def test_blocks_in_slices_give_the_same(demos, model_type, images, offload) -> None:
    """Also where the first pass of all, which finds out in what order layers are fetched ahead, is in slices."""
    model, request = load_from(demos(model_type), model_type, device=GPU, offload=offload), ask(model_type)
    for _ in range(2):
        with in_slices([block for expert in model.experts for block in expert.blocks], 3):
            sliced = latents_of(model, request, *images)
        assert (sliced - latents_of(model, request, *images)).abs().max() < 1e-3


@pytest.mark.parametrize("at", [2, 3, 9])
def test_cancelled_while_weights_are_streamed(demos, at) -> None:
    """Also in the first pass, in which the order of the layers is not yet known."""
    model, request = load_from(demos(T2V), T2V, device=GPU, offload="group"), ask(T2V)
    with pytest.raises(Cancelled):
        latents_of(model, request, reporter=Recorder(cancel_in=Phase.DENOISE, cancel_at=at))
    again = latents_of(model, request)
    assert again.isfinite().all()
    assert again.equal(latents_of(load_from(demos(T2V), T2V, device=GPU, offload="group"), request))


def test_what_waits_for_its_turn_takes_no_gpu_memory(demos) -> None:
    import torch

    gc.collect()
    before = torch.cuda.memory_allocated(GPU)
    model = load_from(demos(T2V), T2V, device=GPU, offload="model")
    assert torch.cuda.memory_allocated(GPU) <= before + 1_000_000
    with model.run_as(plan_of(offload="model", device=GPU)):
        model.stage.enter(model.experts[0])
        with_one = torch.cuda.memory_allocated(GPU) - before
        model.stage.enter(model.experts[1])
        assert torch.cuda.memory_allocated(GPU) - before <= with_one + 1_000_000
    assert torch.cuda.memory_allocated(GPU) <= before + 1_000_000


@pytest.mark.parametrize("model_type", [T2V, TI2V])
def test_tiles_of_a_longer_clip_take_no_more_memory(demos, model_type) -> None:
    """Their features wait in host RAM, and each chunk of frames leaves the GPU before the next is decoded."""
    import torch

    model = load_from(demos(model_type), model_type, device=GPU)
    model.vae.enable_tiling(64, 64, 48, 48)
    factor, peaks = model.vae.spatial_compression_ratio, []
    for frames in (3, 3, 12):  # the first time cuDNN chooses its workspace
        latents = torch.randn(1, model.vae.config.z_dim, frames, 320 // factor, 320 // factor, device=GPU)
        gc.collect()
        model.reset_peak()
        before = torch.cuda.memory_allocated(GPU)
        for _ in decode(model, latents, Recorder()):
            pass
        peaks.append(model.peak_vram_bytes() - before - 2 * latents.nbytes)
    assert peaks[2] <= peaks[1] + 2_000_000


def test_all_memory_comes_back(demos) -> None:
    import torch

    gc.collect()
    before = torch.cuda.memory_allocated(GPU)
    model = load_from(demos(TI2V), TI2V, device=GPU)
    model.reset_peak()
    frames_of(model, latents_of(model, ask(TI2V), PICTURE))
    assert model.peak_vram_bytes() > before + model.size_bytes
    model.close()
    assert torch.cuda.memory_allocated(GPU) <= before + 10_000_000  # cuBLAS keeps its workspace

"""One measured run for `gpu_check`: our way, or bare diffusers in one of its three ways to offload."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from PIL import Image

from wan22.models.needs import CONTEXT_BYTES
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.phases import decode, denoise, encode_image, encode_text
from wan22.tasks import ModelType, Phase, Plan, Request

PROMPT = "a red circle moving right on a blue background"


@dataclass
class Clock:
    """A reporter that notes when phases begin and steps end, the device's work done."""

    device: str
    began: dict[str, float] = field(default_factory=dict)
    steps: list[float] = field(default_factory=list)

    def check(self) -> None:
        """Nobody cancels."""

    def phase(self, phase: Phase) -> None:
        """A phase begins."""
        self.began.setdefault(phase.value, self.now())

    def progress(self, fraction: float, *, step: int | None = None, total_steps: int | None = None) -> None:
        """A step may have ended."""
        if step is not None and step > len(self.steps):
            self.steps.append(self.now())

    def preview(self, jpeg: bytes, *, width: int, height: int) -> None:
        """Not looked at."""

    def now(self) -> float:
        """Seconds, once the device has done what it was given."""
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def told(self) -> dict[str, Any]:
        """Seconds by phase, and of one step once it runs smoothly."""
        ends = [*list(self.began.values())[1:], self.now()]
        phases = {name: end - start for (name, start), end in zip(self.began.items(), ends, strict=True)}
        steps = [after - before for before, after in pairwise(self.steps)]
        return {"phases": phases, "step_s": min(steps) if steps else phases.get("denoise")}


def picture(request: Request) -> Image.Image | None:
    """To begin with, for the model that needs one."""
    needs = request.model_type is ModelType.I2V_A14B
    return Image.new("RGB", (request.width, request.height), (20, 90, 160)) if needs else None


def run_ours(model: LoadedModel, request: Request, plan: Plan) -> dict[str, Any]:
    """All phases as the server runs them, but for the writing of a file."""
    clock, render = Clock(plan.device), plan.render
    with _peak(plan.device) as peak, model.run_as(plan):
        text = encode_text(model, request, clock)
        image = encode_image(model, request, render, picture(request), reporter=clock)
        latents = denoise(model, request, render, text, image, seed=1, reporter=clock)
        frames = sum(1 for _ in decode(model, latents, clock))
    return {**clock.told(), "frames": frames, "peak_bytes": peak()}


def run_bare(pipeline: Any, request: Request, plan: Plan) -> dict[str, Any]:
    """diffusers' own call."""
    clock = Clock(plan.device)
    given: dict[str, Any] = {"image": picture(request)} if request.model_type is ModelType.I2V_A14B else {}
    if pipeline.config.boundary_ratio is not None:
        given["guidance_scale_2"] = request.guidance_scale_2

    def stepped(_pipeline: Any, index: int, _timestep: Any, _state: dict[str, Any]) -> dict[str, Any]:
        clock.progress(0.0, step=index + 1)
        return {}

    with _peak(plan.device) as peak, _watched(pipeline, clock):
        clock.phase(Phase.TEXT_ENCODE)
        made = pipeline(
            prompt=PROMPT,
            negative_prompt="",
            width=plan.render.width,
            height=plan.render.height,
            num_frames=plan.render.num_frames,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance_scale,
            callback_on_step_end=stepped,
            output_type="np",
            **given,
        ).frames
    return {**clock.told(), "frames": len(made[0]), "peak_bytes": peak()}


def offload(pipeline: Any, way: str, device: str) -> None:
    """Set one of diffusers' ways up: model, group (as its documentation has it for Wan) or sequential."""
    import torch

    if way == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif way == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        streams = device.startswith("cuda")
        pipeline.enable_group_offload(
            onload_device=torch.device(device), offload_type="leaf_level", use_stream=streams, exclude_modules=["vae"]
        )
        pipeline.vae.to(device)


@contextmanager
def _watched(pipeline: Any, clock: Clock) -> Iterator[None]:
    """Phases begin where their networks are first called."""
    networks = [(pipeline.transformer, Phase.DENOISE), (pipeline.vae.decoder, Phase.DECODE)]
    if pipeline.transformer_2 is not None:
        networks.append((pipeline.transformer_2, Phase.DENOISE))
    handles = [
        network.register_forward_pre_hook(lambda *_, phase=phase: clock.phase(phase)) for network, phase in networks
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _peak(device: str) -> Iterator[Callable[[], int | None]]:
    """The most that tensors take meanwhile, with the context that torch does not see; None without a GPU."""
    if not device.startswith("cuda"):
        yield lambda: None
        return
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    yield lambda: int(torch.cuda.max_memory_allocated(device)) + CONTEXT_BYTES


def matmul_tflops(device: str) -> float:
    """What large products of matrices reach here, in bf16 on a GPU and fp32 on a CPU."""
    import torch

    on_gpu = device.startswith("cuda")
    side, dtype = (8192, torch.bfloat16) if on_gpu else (512, torch.float32)
    left = torch.randn(side, side, device=device, dtype=dtype)
    clock, best = Clock(device), float("inf")
    for _ in range(10):
        start = clock.now()
        for _ in range(4):
            left @ left
        best = min(best, (clock.now() - start) / 4)
    return 2 * side**3 / best / 1e12

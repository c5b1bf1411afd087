"""The denoising phase: diffusers' own loop over the steps, watched between blocks. Encodes and decodes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wan22.pipelines.condition import ImageCondition
from wan22.pipelines.finite import must_be_finite
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.memory import names_oom
from wan22.pipelines.preview import Previews
from wan22.pipelines.schedule import noised, scheduler_for
from wan22.pipelines.text import TextCondition
from wan22.pipelines.watch import FINEST, watching
from wan22.tasks import Phase, Render, Reporter, Request

if TYPE_CHECKING:
    import torch


@names_oom("denoising")
def denoise(
    model: LoadedModel,
    request: Request,
    render: Render,
    text: TextCondition,
    image: ImageCondition | None,
    *,
    seed: int,
    reporter: Reporter,
) -> torch.Tensor:
    """The finished latents of one video, (1, z, T, h, w) float32, normalised.

    The same seed gives the same latents, bitwise, on the same machine: noise is drawn on the CPU, whatever computes.
    Raises Cancelled between the transformers' blocks, OutOfMemory, and GenerationFailed after the first step that
    leaves no numbers; the model can be used again after all of them.
    """
    reporter.phase(Phase.DENOISE)
    frames = image.frames if image else None
    with _prepared(model.image if frames else model.text, request) as pipeline:
        latents = _noise(pipeline, render, seed)
        if image and image.start is not None:
            latents = noised(pipeline.scheduler, clean=image.start, noise=latents)
        if frames:
            pipeline.prepared = (latents, *frames.tensors())
        watch = _Watch(model, pipeline, reporter)
        with watching(watch.blocks, watch.block):
            (finished,) = pipeline(
                **_arguments(pipeline, request, render, text), latents=latents, callback_on_step_end=watch.step
            )
    return finished


@contextmanager
def _prepared(pipeline: Any, request: Request) -> Iterator[Any]:
    """The pipeline with the request's own scheduler; whatever happens, afterwards it is as it was before."""
    before = pipeline.scheduler
    pipeline.scheduler = scheduler_for(
        before,
        steps=request.steps,
        flow_shift=request.flow_shift,
        strength=request.strength,
        plain=request.preset == "fast",
    )
    try:
        yield pipeline
    finally:
        pipeline.scheduler = before
        pipeline.prepared = None
        pipeline.maybe_free_model_hooks()  # diffusers does so after a run that ends well, and only then


def _noise(pipeline: Any, render: Render, seed: int) -> torch.Tensor:
    """The draw that diffusers' own call would make with a CPU generator of that seed."""
    import torch
    from diffusers.utils.torch_utils import randn_tensor

    frames = (render.num_frames - 1) // pipeline.vae_scale_factor_temporal + 1
    factor = pipeline.vae_scale_factor_spatial
    shape = (1, pipeline.vae.config.z_dim, frames, render.height // factor, render.width // factor)
    generator = torch.Generator("cpu").manual_seed(seed)
    noise: torch.Tensor = randn_tensor(shape, generator, device=pipeline._execution_device, dtype=torch.float32)
    return noise


def _arguments(pipeline: Any, request: Request, render: Render, text: TextCondition) -> dict[str, Any]:
    """What the pipeline's call takes beside the latents; it refuses arguments that its model has no use for."""
    import torch

    arguments = {
        "prompt_embeds": text.prompt,
        "negative_prompt_embeds": text.negative,
        "width": render.width,
        "height": render.height,
        "num_frames": render.num_frames,
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance_scale,
        "output_type": "latent",
        "return_dict": False,
    }
    if pipeline.config.boundary_ratio is not None:
        arguments["guidance_scale_2"] = request.guidance_scale_2
    if pipeline.prepared is not None:  # its picture has been encoded, and this one is only looked at for its size
        arguments["image"] = torch.zeros(1, 3, render.height, render.width)
    return arguments


class _Watch:
    """Tells how far the steps have come, blocks of the current one included; shows previews; asks whether to stop."""

    def __init__(self, model: LoadedModel, pipeline: Any, reporter: Reporter) -> None:
        self._model = model
        self.blocks = [block for expert in model.experts for block in expert.blocks]
        self._blocks_in_pass = len(model.experts[0].blocks)
        self._pipeline = pipeline
        self._reporter = reporter
        self._previews = Previews(model.preview_map, reporter)
        self._steps = len(pipeline.scheduler.timesteps)
        self._done = 0
        self._begun = 0  # blocks of the current step
        self._in_step = 1  # blocks that it has in all its passes
        self._told = 0.0

    def block(self) -> None:
        """A block begins."""
        self._reporter.check()
        if self._begun == 0:  # asked once a step, because the answer waits for the GPU
            self._in_step = self._blocks_in_pass * (1 + self._pipeline.do_classifier_free_guidance)
        self._tell((self._done + self._begun / self._in_step) / self._steps)
        self._begun += 1

    def step(self, pipeline: Any, index: int, timestep: Any, state: dict[str, Any]) -> dict[str, Any]:
        """A step has ended; the signature is that of diffusers' `callback_on_step_end`."""
        must_be_finite(state["latents"], "denoising", self._model)  # at every step, since no later one can mend it
        self._done, self._begun = index + 1, 0
        self._tell(self._done / self._steps, always=True)
        self._previews.offer(pipeline.scheduler.model_outputs[-1])  # clean latents, as this step foresees them
        self._reporter.check()
        return {}

    def _tell(self, fraction: float, *, always: bool = False) -> None:
        if always or fraction - self._told >= FINEST:
            self._told = fraction
            self._reporter.progress(fraction, step=self._done, total_steps=self._steps)

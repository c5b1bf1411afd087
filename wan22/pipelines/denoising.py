"""The denoising phase: diffusers' own loop over the steps, watched between blocks. Encodes and decodes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wan22.errors import Cancelled, GenerationFailed, Wan22Error
from wan22.pipelines.batch import Batch, NobodyLeft, Take, prompts_of
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


Dropped = Callable[[Take, Wan22Error], None]
"""Told of a take that leaves its batch, and why."""


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

    def end(_: Take, error: Wan22Error) -> None:
        raise error

    take = Take(text, seed, reporter)
    return denoise_together(model, request, render, [take], image, dropped=end)[take]


@names_oom("denoising")
def denoise_together(
    model: LoadedModel,
    request: Request,
    render: Render,
    takes: Sequence[Take],
    image: ImageCondition | None,
    *,
    dropped: Dropped,
) -> dict[Take, torch.Tensor]:
    """The finished latents of each take, as `denoise` gives them, by one run of the steps over all of them.

    `request` tells what they share. Latents are those of the take alone but for rounding, 1e-4 in float32. A take that
    is cancelled, or that leaves no numbers, is told to `dropped` at once; it leaves the batch at the end of the step,
    and the others go on. Raises what `dropped` raises, and OutOfMemory.
    """
    frames = image.frames if image else None
    batch = Batch(takes, frames)
    for reporter in batch.reporters():
        reporter.phase(Phase.DENOISE)
    with _prepared(model.image if frames else model.text, request) as pipeline:
        latents = _noise(pipeline, render, [take.seed for take in takes])
        if image and image.start is not None:
            latents = noised(pipeline.scheduler, clean=image.start, noise=latents)
        if frames:
            pipeline.prepared = (latents, *batch.condition)
        watch = _Watch(model, pipeline, batch, dropped)
        try:
            with watching(watch.blocks, watch.block):
                (finished,) = pipeline(
                    **_arguments(pipeline, request, render, takes), latents=latents, callback_on_step_end=watch.step
                )
        except NobodyLeft:
            return {}
    return {take: finished[place : place + 1] for place, take in batch.staying()}


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


def _noise(pipeline: Any, render: Render, seeds: Sequence[int]) -> torch.Tensor:
    """The draws that diffusers' own call would make with CPU generators of those seeds, (B, z, T, h, w)."""
    import torch
    from diffusers.utils.torch_utils import randn_tensor

    frames = (render.num_frames - 1) // pipeline.vae_scale_factor_temporal + 1
    factor = pipeline.vae_scale_factor_spatial
    shape = (1, pipeline.vae.config.z_dim, frames, render.height // factor, render.width // factor)
    drawn = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    device = pipeline._execution_device
    return torch.cat([randn_tensor(shape, each, device=device, dtype=torch.float32) for each in drawn])


def _arguments(pipeline: Any, request: Request, render: Render, takes: Sequence[Take]) -> dict[str, Any]:
    """What the pipeline's call takes beside the latents; it refuses arguments that its model has no use for."""
    import torch

    arguments = {
        **prompts_of(takes),
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

    def __init__(self, model: LoadedModel, pipeline: Any, batch: Batch, dropped: Dropped) -> None:
        self._model = model
        self.blocks = [block for expert in model.experts for block in expert.blocks]
        self._blocks_in_pass = len(model.experts[0].blocks)
        self._pipeline = pipeline
        self._batch = batch
        self._dropped = dropped
        self._previews = {take: Previews(model.preview_map, take.reporter) for take in batch.takes}
        self._steps = len(pipeline.scheduler.timesteps)
        self._done = 0
        self._begun = 0  # blocks of the current step
        self._in_step = 1  # blocks that it has in all its passes
        self._told = 0.0

    def block(self) -> None:
        """A block begins."""
        self._check()
        if self._begun == 0:  # asked once a step, because the answer waits for the GPU
            self._in_step = self._blocks_in_pass * (1 + self._pipeline.do_classifier_free_guidance)
        self._tell((self._done + self._begun / self._in_step) / self._steps)
        self._begun += 1

    def step(self, pipeline: Any, index: int, timestep: Any, state: dict[str, Any]) -> dict[str, Any]:
        """A step has ended; the signature is that of diffusers' `callback_on_step_end`."""
        self._check_finite(state["latents"])  # at every step, since no later one can mend it
        self._done, self._begun = index + 1, 0
        self._tell(self._done / self._steps, always=True)
        foreseen = pipeline.scheduler.model_outputs[-1]  # clean latents, as this step foresees them
        for place, take in self._batch.staying():
            self._previews[take].offer(foreseen[place : place + 1])
        self._check()
        return self._batch.shrink(state["latents"], pipeline.scheduler)

    def _check(self) -> None:
        """Take out of the batch those that are to stop; ends the run where nobody is left."""
        for _, take in self._batch.staying():
            try:
                take.reporter.check()
            except Cancelled as error:
                self._drop(take, error)

    def _check_finite(self, latents: torch.Tensor) -> None:
        if bool(latents.isfinite().all()):  # one question for all, because the answer waits for the GPU
            return
        for place, take in self._batch.staying():
            try:
                must_be_finite(latents[place], "denoising", self._model)
            except GenerationFailed as error:
                self._drop(take, error)

    def _drop(self, take: Take, error: Wan22Error) -> None:
        self._batch.leave(take)
        self._dropped(take, error)
        if not self._batch.staying():
            raise NobodyLeft

    def _tell(self, fraction: float, *, always: bool = False) -> None:
        if always or fraction - self._told >= FINEST:
            self._told = fraction
            for reporter in self._batch.reporters():
                reporter.progress(fraction, step=self._done, total_steps=self._steps)

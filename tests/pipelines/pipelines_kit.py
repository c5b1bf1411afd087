"""What the tests of this room share: a reporter that writes down, small requests, and diffusers' own calls."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from support import pictures, samples

from wan22.errors import Cancelled
from wan22.media.uploads import fit
from wan22.models import demo_weights
from wan22.pipelines.loader import LoadedModel, load
from wan22.pipelines.phases import decode, denoise, encode_image, encode_text
from wan22.tasks import ImageRef, ModelType, Phase, Plan, Render, Request

T2V, I2V, TI2V = ModelType.T2V_A14B, ModelType.I2V_A14B, ModelType.TI2V_5B
SIDE, FRAMES, STEPS, SEED = 64, 5, 4, 7
PICTURE = pictures.gradient(96, 80)
LAST_PICTURE = PICTURE.transpose(Image.Transpose.ROTATE_180)
REF = ImageRef(id="upl_" + "0" * 32, width=PICTURE.width, height=PICTURE.height)


@dataclass
class Recorder:
    """A reporter that keeps what it is told, and raises Cancelled at the n-th check of a phase if it is asked to."""

    cancel_in: Phase | None = None
    cancel_at: int = 1
    phases: list[Phase] = field(default_factory=list)
    told: list[tuple[float, int | None, int | None]] = field(default_factory=list)
    previews: list[tuple[bytes, int, int]] = field(default_factory=list)
    checks: collections.Counter[Phase | None] = field(default_factory=collections.Counter)

    def check(self) -> None:
        now = self.phases[-1] if self.phases else None
        self.checks[now] += 1
        if now is self.cancel_in and now is not None and self.checks[now] >= self.cancel_at:
            raise Cancelled("Somebody asked for it.")

    def phase(self, phase: Phase) -> None:
        self.phases.append(phase)
        self.told.clear()

    def progress(self, fraction: float, *, step: int | None = None, total_steps: int | None = None) -> None:
        self.told.append((fraction, step, total_steps))

    def preview(self, jpeg: bytes, *, width: int, height: int) -> None:
        self.previews.append((jpeg, width, height))


def ask(model_type: ModelType, **changes: Any) -> Request:
    """A few small frames; the only transformer of 5B has no second guidance scale."""
    small = {"width": SIDE, "height": SIDE, "num_frames": FRAMES, "steps": STEPS, "negative_prompt": "grey"}
    second = None if model_type is TI2V else 3.0
    return samples.request(**{"model_type": model_type, **small, "guidance_scale_2": second, **changes})


def ask_still(model_type: ModelType, *, strength: float | None = None) -> Request:
    """One picture; with a strength it is made from another one."""
    image = None if strength is None else REF
    return ask(model_type, mode="image", num_frames=1, strength=strength, image=image, output_format="png", fps=1)


def render_of(request: Request) -> Render:
    """Rendered exactly as asked."""
    return Render(
        width=request.width,
        height=request.height,
        num_frames=request.num_frames,
        keep=tuple(range(request.num_frames)),
        crop_width=request.width,
        crop_height=request.height,
        output_width=request.width,
        output_height=request.height,
        summary="As asked.",
    )


def plan_of(**changes: Any) -> Plan:
    """On the CPU, all in fp32."""
    precision = dict.fromkeys(("transformer", "text_encoder", "vae"), "fp32")
    return samples.plan(**{"precision": precision, **changes})


def load_from(folder: Path, model_type: ModelType, **changes: Any) -> LoadedModel:
    """The model with all its parts."""
    model = load(folder, model_type, plan=plan_of(**changes), reporter=Recorder(), cure=demo_weights.CURE)
    model.bring_text_encoder(Recorder())
    return model


def latents_of(
    model: LoadedModel, request: Request, *images: Image.Image, seed: int = SEED, reporter: Recorder | None = None
) -> Any:
    """All phases up to the finished latents."""
    reporter, render = reporter or Recorder(), render_of(request)
    text = encode_text(model, request, reporter)
    first, last = (*images, None, None)[:2]
    image = encode_image(model, request, render, first, last, reporter=reporter)
    return denoise(model, request, render, text, image, seed=seed, reporter=reporter)


def frames_of(model: LoadedModel, latents: Any, reporter: Recorder | None = None) -> np.ndarray:
    """All frames, (F, H, W, 3)."""
    return np.stack(list(decode(model, latents, reporter or Recorder())))


def through_vae(model: LoadedModel, picture: Image.Image, width: int, height: int) -> np.ndarray:
    """The picture cut to that size, encoded and decoded as a single frame, (H, W, 3) in 0 to 255."""
    import torch

    pixels = torch.from_numpy(np.asarray(fit(picture, width, height), np.float32)).permute(2, 0, 1) / 127.5 - 1
    with torch.no_grad():
        latents = model.vae.encode(pixels[None, :, None]).latent_dist.mode()
        back = model.vae.decode(latents).sample[0, :, 0].permute(1, 2, 0)
    return ((back + 1) * 127.5).numpy()


@contextmanager
def bare(pipeline: Any, request: Request) -> Iterator[Any]:
    """diffusers' own pipeline over the same weights, with the request's schedule."""
    kind = next(base for base in type(pipeline).__mro__ if base.__module__.startswith("diffusers"))
    settings = {key: pipeline.config[key] for key in ("boundary_ratio", "expand_timesteps")}
    made = kind(**pipeline.components, **settings)
    made.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, flow_shift=request.flow_shift)
    made.set_progress_bar_config(disable=True)
    yield made


def called(pipeline: Any, request: Request, *images: Image.Image, output_type: str = "latent") -> Any:
    """What diffusers' own call gives for the request; pictures must have the rendered size already."""
    import torch

    arguments: dict[str, Any] = dict(zip(("image", "last_image"), images, strict=False))
    if request.guidance_scale_2 is not None:
        arguments["guidance_scale_2"] = request.guidance_scale_2
    return pipeline(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        width=request.width,
        height=request.height,
        num_frames=request.num_frames,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance_scale,
        generator=torch.Generator().manual_seed(SEED),
        output_type=output_type,
        **arguments,
    ).frames


@contextmanager
def counting(*modules: Any) -> Iterator[list[int]]:
    """Forward passes of each module, counted while the context is open."""
    counts = [0] * len(modules)

    def count(index: int) -> Any:
        def hook(*_: Any) -> None:
            counts[index] += 1

        return hook

    handles = [module.register_forward_pre_hook(count(index)) for index, module in enumerate(modules)]
    yield counts
    for handle in handles:
        handle.remove()

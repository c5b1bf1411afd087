"""diffusers' two Wan pipelines, changed in exactly three places so that they can be run phase by phase.

Guidance is decided for each expert: diffusers looks at the high-noise expert's scale alone, and so pays for a second
pass whose result it multiplies away, or leaves out one that was asked for. And the image pipeline takes the picture's
latents from the phase that encoded it. And both are told where they compute, since weights may wait elsewhere. All
else, the denoising loop above all, is diffusers'.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class FrameCondition:
    """What the image pipeline is told of the frames that are given.

    `latents`: for A14B (1, 4 + z, T, h, w), the mask of given frames and the VAE's latents of them, normalised;
    for 5B (1, z, 1, h, w), the first frame's latents. `mask`: for 5B (1, 1, T, h, w), 0 where the frame is given.
    """

    latents: torch.Tensor
    mask: torch.Tensor | None = None

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Both, as the pipeline takes them after the noise."""
        return (self.latents,) if self.mask is None else (self.latents, self.mask)


class StagedClasses(NamedTuple):
    """The two classes: `text` extends WanPipeline, `image` WanImageToVideoPipeline."""

    text: Any
    image: Any


def is_guided(guidance_scale: float, guidance_scale_2: float | None) -> bool:
    """Whether any expert needs the pass with the negative prompt; a scale of 1 or less is guidance off."""
    return max(guidance_scale, guidance_scale if guidance_scale_2 is None else guidance_scale_2) > 1


def _is_guided_now(pipeline: Any) -> bool:
    """The pipeline's answer to whether the second pass runs: at this timestep, or before the first one at any."""
    first, second, timestep = pipeline._guidance_scale, pipeline._guidance_scale_2, pipeline.current_timestep
    if timestep is None or second is None:
        return is_guided(first, second)
    boundary = pipeline.config.boundary_ratio * pipeline.scheduler.config.num_train_timesteps
    return bool((first if timestep >= boundary else second) > 1)


def _device_of(pipeline: Any) -> Any:
    import torch

    return torch.device(pipeline.place) if pipeline.place else None


@cache
def staged_classes() -> StagedClasses:
    """Made once, on first need, because diffusers takes seconds to import."""
    from diffusers import WanImageToVideoPipeline, WanPipeline

    class StagedTextPipeline(WanPipeline):
        """Text to video, with guidance by expert."""

        prepared = None
        place: str | None = None  # where it computes

        @property
        def _execution_device(self) -> Any:
            """Not where its weights wait."""
            return _device_of(self) or super()._execution_device

        @property
        def do_classifier_free_guidance(self) -> bool:
            """Whether the pass with the negative prompt runs now."""
            return _is_guided_now(self)

    class StagedImagePipeline(WanImageToVideoPipeline):
        """Image to video, with guidance by expert and frames that were encoded before."""

        prepared: tuple[torch.Tensor, ...] | None = None  # what the next call starts from: latents, then the frames
        place: str | None = None  # where it computes

        @property
        def _execution_device(self) -> Any:
            """Not where its weights wait."""
            return _device_of(self) or super()._execution_device

        @property
        def do_classifier_free_guidance(self) -> bool:
            """Whether the pass with the negative prompt runs now."""
            return _is_guided_now(self)

        def encode_frames(
            self, first: torch.Tensor, last: torch.Tensor | None = None, *, num_frames: int
        ) -> FrameCondition:
            """What diffusers' own call would make of the pictures, (1, 3, H, W) in [-1, 1]; draws no random number."""
            import torch

            device = self._execution_device
            _, *made = super().prepare_latents(
                first.to(device),
                1,
                height=first.shape[-2],
                width=first.shape[-1],
                num_frames=num_frames,
                dtype=torch.float32,
                device=device,
                latents=torch.zeros(1),  # stands in for the noise, so that none is drawn
                last_image=None if last is None else last.to(device),
            )
            return FrameCondition(*made)

        def prepare_latents(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, ...]:
            """What was prepared, or as diffusers does it."""
            return self.prepared or super().prepare_latents(*args, **kwargs)

    return StagedClasses(StagedTextPipeline, StagedImagePipeline)

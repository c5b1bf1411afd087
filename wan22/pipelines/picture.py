"""The picture phase: input pictures through the VAE's encoder, as frames that are given or as a start to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

from wan22.media.uploads import fit
from wan22.pipelines.condition import ImageCondition
from wan22.pipelines.latents import normalised
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.memory import names_oom
from wan22.pipelines.picture_cache import NO_PICTURES, PictureCache, fingerprint
from wan22.pipelines.staged import FrameCondition
from wan22.pipelines.watch import Ticker, watching
from wan22.tasks import Phase, Render, Reporter, Request

if TYPE_CHECKING:
    import torch


@names_oom("encoding the image")
def encode_image(
    model: LoadedModel,
    request: Request,
    render: Render,
    image: Image.Image | None,
    last_image: Image.Image | None = None,
    *,
    reporter: Reporter,
    cache: PictureCache = NO_PICTURES,
) -> ImageCondition | None:
    """Encode the request's pictures (RGB, any size), or take them from the disk if they were encoded before.

    None without any. The same for each of the request's videos.

    Pictures are scaled to cover the rendered frame and cut to it around their centre. With a strength the picture is
    changed (image to image), else it is the first frame. Raises Cancelled between the VAE's blocks, and OutOfMemory.
    """
    if image is None:
        return None
    reporter.phase(Phase.IMAGE_ENCODE)
    way = "first frame" if request.strength is None else "start"
    size = f"{render.width}x{render.height}x{render.num_frames}"
    key = (model.picture_stamp, way, size, fingerprint(image), fingerprint(last_image))
    condition = cache.get(key, model.device)
    if condition is None:
        condition = _encoded(model, request, render, image, last_image, reporter=reporter)
        cache.put(key, condition)
    reporter.progress(1.0)
    return condition


def _encoded(
    model: LoadedModel,
    request: Request,
    render: Render,
    image: Image.Image,
    last_image: Image.Image | None,
    *,
    reporter: Reporter,
) -> ImageCondition:
    import torch

    model.stage.enter(model.vae)
    vae, blocks = model.vae, model.vae.encoder.down_blocks
    calls = 1 if model.text else (render.num_frames - 1) // vae.config.scale_factor_temporal + 1
    try:
        with torch.no_grad(), watching(blocks, Ticker(reporter, calls * len(blocks)).tick):
            if request.strength is None:
                return ImageCondition(_given(model, render, image, last_image))
            return ImageCondition(_blank(model, render), _latents_of(model, render, image))
    finally:
        vae.clear_cache()  # of features of frames before, which the VAE itself only does at a good end


def _given(model: LoadedModel, render: Render, image: Image.Image, last_image: Image.Image | None) -> FrameCondition:
    """The first frame, and the last if there is one, as diffusers' own call would encode them."""
    last = None if last_image is None else _pixels(model, render, last_image)
    frames: FrameCondition = model.image.encode_frames(
        _pixels(model, render, image), last, num_frames=render.num_frames
    )
    return frames


def _blank(model: LoadedModel, render: Render) -> FrameCondition | None:
    """A condition that gives no frame, for a model that can't do without one (I2V-A14B); None for one that can.

    Were the picture given as the first frame, a still would be pinned to it, and strength would change nothing. So
    the mask says "not given", and the content is what Wan puts there for all frames that aren't: grey, encoded.
    """
    import torch

    if model.text:
        return None
    nothing = torch.zeros(1, 3, render.height, render.width)
    frames = model.image.encode_frames(nothing, num_frames=render.num_frames)
    frames.latents[:, : model.image.vae_scale_factor_temporal] = 0  # the mask's channels come first
    blank: FrameCondition = frames
    return blank


def _latents_of(model: LoadedModel, render: Render, image: Image.Image) -> torch.Tensor:
    vae = model.vae
    clip = _pixels(model, render, image)[:, :, None].to(vae.device, vae.dtype)
    return normalised(vae, vae.encode(clip).latent_dist.mode())


def _pixels(model: LoadedModel, render: Render, image: Image.Image) -> Any:
    """The picture as (1, 3, H, W) in [-1, 1], float32, on the host."""
    fitted = fit(image, render.width, render.height)
    return model.pipeline.video_processor.preprocess(fitted, height=render.height, width=render.width)

"""The decoding phase: latents to frames, a few at a time. Writes no file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wan22.pipelines.finite import must_be_finite
from wan22.pipelines.latents import denormalised
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.memory import names_oom
from wan22.pipelines.tiles import Tiles
from wan22.pipelines.watch import Ticker, watching
from wan22.tasks import Phase, Reporter

if TYPE_CHECKING:
    import torch

Frame = NDArray[np.uint8]


def decode(model: LoadedModel, latents: torch.Tensor, reporter: Reporter) -> Iterator[Frame]:
    """The frames of normalised latents (1, z, T, h, w), in order: uint8 (H, W, 3) RGB, as diffusers would give them.

    One latent frame is decoded at a time, so that the first frames can be encoded before the last ones exist, and the
    device's memory does not grow with the clip. Raises Cancelled between the VAE's blocks, OutOfMemory, and
    GenerationFailed where pixels are no numbers. May be abandoned at any frame; the VAE forgets what it kept.
    """
    reporter.phase(Phase.DECODE)
    vae, count = model.vae, latents.shape[2]
    _enter(model)
    blocks = vae.decoder.up_blocks
    try:
        tiles = Tiles(vae, _unquantised(vae, latents))
        with watching(blocks, Ticker(reporter, count * len(blocks) * tiles.count).tick):
            for index in range(count):
                yield from _frames(model, _decode_one(model, tiles, index))
    finally:
        vae.clear_cache()
    reporter.progress(1.0)


@names_oom("decoding")
def _enter(model: LoadedModel) -> None:
    model.stage.enter(model.vae)


@names_oom("decoding")
def _unquantised(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.no_grad():
        result: torch.Tensor = vae.post_quant_conv(denormalised(vae, latents))
    return result


@names_oom("decoding")
def _decode_one(model: LoadedModel, tiles: Tiles, index: int) -> torch.Tensor:
    """Pixels (1, 3, n, H, W) in [-1, 1] of one latent frame: 1 of the first, 4 of each other."""
    import torch
    from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

    with torch.no_grad():
        pixels = tiles.decode(index)
        if (patch_size := model.vae.config.patch_size) is not None:
            pixels = unpatchify(pixels, patch_size=patch_size)
        must_be_finite(pixels, "decoding", model)  # before the clamp, which makes numbers of infinities
        return pixels.clamp(-1.0, 1.0)


def _frames(model: LoadedModel, chunk: torch.Tensor) -> Iterator[Frame]:
    """To bytes as diffusers' own `numpy_to_pil`, a frame at a time."""
    (clip,) = model.pipeline.video_processor.postprocess_video(chunk, output_type="np")
    for frame in clip:
        yield (frame * 255).round().astype(np.uint8)

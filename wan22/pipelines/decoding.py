"""The decoding phase: latents to frames, a few at a time. Writes no file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wan22.pipelines.latents import denormalised
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.memory import names_oom
from wan22.pipelines.watch import Ticker, watching
from wan22.tasks import Phase, Reporter

if TYPE_CHECKING:
    import torch

Frame = NDArray[np.uint8]


def decode(model: LoadedModel, latents: torch.Tensor, reporter: Reporter) -> Iterator[Frame]:
    """The frames of normalised latents (1, z, T, h, w), in order: uint8 (H, W, 3) RGB, as diffusers would give them.

    One latent frame is decoded at a time, so that the first frames can be encoded before the last ones exist. Raises
    Cancelled between the VAE's blocks, and OutOfMemory. May be abandoned at any frame; the VAE forgets what it kept.
    """
    reporter.phase(Phase.DECODE)
    vae, count = model.vae, latents.shape[2]
    blocks = vae.decoder.up_blocks
    ticker = Ticker(reporter, count * len(blocks) * _tiles(vae, latents))
    try:
        with watching(blocks, ticker.tick):
            for chunk in _chunks(vae, denormalised(vae, latents)):
                yield from _frames(model, chunk)
    finally:
        vae.clear_cache()
    reporter.progress(1.0)


def _chunks(vae: Any, latents: torch.Tensor) -> Iterator[torch.Tensor]:
    """Decoded pixels (1, 3, n, H, W) in [-1, 1]: 1 frame, then 4 by 4, each decoded when it is its turn.

    Where the VAE tiles all are decoded first: diffusers blends tiles with their neighbours over the whole clip.
    """
    if _tiles(vae, latents) > 1:
        yield from _decode_tiled(vae, latents).split(vae.config.scale_factor_temporal, dim=2)
        return
    vae.clear_cache()
    latents = _unquantised(vae, latents)
    for index in range(latents.shape[2]):
        yield _decode_one(vae, latents[:, :, index : index + 1], is_first=index == 0)


@names_oom("decoding")
def _decode_tiled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.no_grad():
        pixels: torch.Tensor = vae.decode(latents, return_dict=False)[0]
    return pixels


@names_oom("decoding")
def _unquantised(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.no_grad():
        result: torch.Tensor = vae.post_quant_conv(latents)
    return result


@names_oom("decoding")
def _decode_one(vae: Any, latent: torch.Tensor, *, is_first: bool) -> torch.Tensor:
    """What `AutoencoderKLWan._decode` does for one latent frame; the features of those before wait in the VAE."""
    import torch
    from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

    with torch.no_grad():
        vae._conv_idx = [0]
        pixels: torch.Tensor = vae.decoder(
            latent, feat_cache=vae._feat_map, feat_idx=vae._conv_idx, first_chunk=is_first
        )
        if vae.config.patch_size is not None:
            pixels = unpatchify(pixels, patch_size=vae.config.patch_size)
        return pixels.clamp(-1.0, 1.0)


def _frames(model: LoadedModel, chunk: torch.Tensor) -> Iterator[Frame]:
    """To bytes as diffusers' own `numpy_to_pil`, a frame at a time."""
    (clip,) = model.pipeline.video_processor.postprocess_video(chunk, output_type="np")
    for frame in clip:
        yield (frame * 255).round().astype(np.uint8)


def _tiles(vae: Any, latents: torch.Tensor) -> int:
    """How many tiles each latent frame is decoded in; by the rule of `AutoencoderKLWan._decode`."""
    factor = vae.spatial_compression_ratio
    height, width = latents.shape[-2:]
    fits = height <= vae.tile_sample_min_height // factor and width <= vae.tile_sample_min_width // factor
    if fits or not vae.use_tiling:
        return 1
    rows = math.ceil(height / (vae.tile_sample_stride_height // factor))
    columns = math.ceil(width / (vae.tile_sample_stride_width // factor))
    return int(rows * columns)

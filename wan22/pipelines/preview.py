"""Small pictures of latents while they are denoised: a linear map from latents to colours, and how often to paint.

The map is fitted to the VAE itself, once, so that it holds for any weights. What it gives is a blur with about the
right colours; the real frames come from the decoder.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from wan22.pipelines.latents import normalised
from wan22.tasks import Reporter

if TYPE_CHECKING:
    import torch

WIDTH = 320  # pixels of a preview; high enough to see what it is, a few kB
PICTURES = 12  # that the map is fitted to, with 2 x CELLS x CELLS latent pixels each for at most 49 unknowns
CELLS = 6  # latent pixels on each side of a picture
MIN_R2 = 0.1  # of held-out pictures: a map that explains less of their colours shows nothing
INTERVAL_S = 0.5
MAX_SHARE = 0.03  # of the time of a run


@dataclass(frozen=True, eq=False)
class PreviewMap:
    """Colours of a latent pixel: (z + 1, 3), the last row added to all."""

    weights: torch.Tensor

    def paint(self, latents: torch.Tensor) -> Image.Image:
        """The middle one of normalised latent frames (1, z, T, h, w), enlarged to WIDTH pixels."""
        frame = latents[0, :, latents.shape[2] // 2].float().cpu().permute(1, 2, 0)
        colours = frame @ self.weights[:-1] + self.weights[-1]
        pixels = (colours.clamp(0, 1) * 255).round().byte().numpy()
        height, width = pixels.shape[:2]
        return Image.fromarray(pixels).resize((WIDTH, max(1, round(WIDTH * height / width))), Image.Resampling.BILINEAR)


class Previews:
    """Paints for one run, at most every INTERVAL_S and so seldom that it takes MAX_SHARE of the time at most."""

    def __init__(
        self,
        preview_map: PreviewMap | None,
        reporter: Reporter,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._map = preview_map
        self._reporter = reporter
        self._clock = clock
        self._next_at = float("-inf")

    def offer(self, latents: torch.Tensor) -> None:
        """Report a preview of the normalised latents (1, z, T, h, w) if it is time for one."""
        began = self._clock()
        if self._map is None or began < self._next_at:
            return
        self._report(self._map.paint(latents))
        took = self._clock() - began
        self._next_at = began + max(INTERVAL_S, took / MAX_SHARE)

    def _report(self, picture: Image.Image) -> None:
        jpeg = io.BytesIO()
        picture.save(jpeg, "JPEG", quality=80)
        self._reporter.preview(jpeg.getvalue(), width=picture.width, height=picture.height)


def fit_preview_map(vae: Any) -> PreviewMap | None:
    """The best linear map from latent pixels of the VAE to colours, or None if it says too little.

    Least squares over still clips of small synthetic pictures; a quarter of them is held out to judge it. Costs a
    fraction of a second with small weights, and some seconds with real ones on two cores.
    """
    import torch

    with torch.no_grad():
        clips = _synthetic_clips(vae)
        pixels = _latent_pixels(vae, clips)
        if not bool(pixels.isfinite().all()):
            return None
        colours = _mean_colours(clips, vae.spatial_compression_ratio)
        held = PICTURES // 4
        weights = _ridge(pixels[held:].flatten(0, 1), colours[held:].flatten(0, 1))
        missed = (pixels[:held] @ weights - colours[:held]).square().sum()
        spread = (colours[:held] - colours[held:].mean((0, 1))).square().sum()
    return PreviewMap(weights) if 1 - missed / spread >= MIN_R2 else None


def _ridge(rows: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Least squares held a little towards 0, which channels that depend on each other would otherwise blow up."""
    import torch

    rows, targets = rows.double(), targets.double()
    hold = 1e-3 * len(rows) * torch.eye(rows.shape[1], dtype=torch.double)
    return torch.linalg.solve(rows.T @ rows + hold, rows.T @ targets).float()


def _synthetic_clips(vae: Any) -> torch.Tensor:
    """Still clips (PICTURES, 3, 5, side, side) in [-1, 1] of soft blobs in all colours, always the same ones."""
    import torch

    side = CELLS * vae.spatial_compression_ratio
    generator = torch.Generator().manual_seed(0)
    pictures = []
    for number in range(PICTURES):
        cells = 2 + number % 6
        coarse = torch.randn(1, 3, cells, cells, generator=generator)
        pictures.append(torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(-1, 1))
    return torch.cat(pictures)[:, :, None].repeat(1, 1, 5, 1, 1)


def _latent_pixels(vae: Any, clips: torch.Tensor) -> torch.Tensor:
    """Each clip's normalised latents as rows (clips, pixels, z + 1), the last column being 1."""
    import torch

    mode = vae.encode(clips.to(vae.device, vae.dtype)).latent_dist.mode()
    rows = normalised(vae, mode).flatten(2).mT.cpu()
    return torch.cat([rows, torch.ones(*rows.shape[:2], 1)], dim=2)


def _mean_colours(clips: torch.Tensor, factor: int) -> torch.Tensor:
    """The colours in [0, 1] of each latent pixel of still clips, (clips, pixels, 3), for both latent frames."""
    import torch

    small = torch.nn.functional.avg_pool2d(clips[:, :, 0], factor) / 2 + 0.5
    return small.flatten(2).mT.repeat(1, 2, 1)

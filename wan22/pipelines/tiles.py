"""Cuts latents into overlapping tiles and decodes them, one latent frame of the whole picture at a time.

This is `AutoencoderKLWan.tiled_decode` with its loops swapped: there each tile's whole clip is decoded before the next
tile, so that no frame is done before all are. Where the VAE does not tile, there is one tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextmanager
def in_tiles(vae: Any, side: int | None) -> Iterator[None]:
    """Inside, the VAE works in tiles of so many pixels a side, which overlap by a quarter; None: on whole frames."""
    if side is None:
        yield
        return
    vae.enable_tiling(side, side, 3 * side // 4, 3 * side // 4)
    try:
        yield
    finally:
        vae.disable_tiling()


@dataclass(frozen=True)
class _Axis:
    """One side of the picture: where tiles begin and how long they are, in latent pixels; the rest in decoded ones."""

    starts: range
    length: int
    kept: int  # of each tile; what is beyond is only blended into the next one
    blended: int


class Tiles:
    """Decodes the frames of one clip in their order.

    Between its frames a tile's features, which the VAE's causal convolutions look back to, wait in host RAM: the device
    never holds those of two tiles. Of the only tile they stay where they are.
    """

    def __init__(self, vae: Any, latents: torch.Tensor) -> None:
        """`latents` (1, z, T, h, w) as `post_quant_conv` gives them."""
        self._vae = vae
        self._latents = latents
        self._rows, self._columns = _axes(vae, *latents.shape[-2:])
        self._waiting: dict[tuple[int, int], list[Any]] = {}

    @property
    def count(self) -> int:
        """How many tiles there are in a frame."""
        return len(self._rows.starts) * len(self._columns.starts)

    def decode(self, index: int) -> torch.Tensor:
        """What the decoder makes of latent frame `index`, (1, c, n, H, W), tiles blended; frames come in order."""
        tiles = [[self._decode_tile(index, top, left) for left in self._columns.starts] for top in self._rows.starts]
        for row, line in enumerate(tiles):
            for column, tile in enumerate(line):  # blended in place, so that the next one sees it finished
                if row:
                    self._vae.blend_v(tiles[row - 1][column], tile, self._rows.blended)
                if column:
                    self._vae.blend_h(line[column - 1], tile, self._columns.blended)
        return _joined(tiles, self._rows.kept, self._columns.kept)

    def _decode_tile(self, index: int, top: int, left: int) -> torch.Tensor:
        vae = self._vae
        latent = self._latents[
            :, :, index : index + 1, top : top + self._rows.length, left : left + self._columns.length
        ]
        if index == 0:
            vae.clear_cache()
        elif self.count > 1:
            vae._feat_map = _moved(self._waiting.pop((top, left)), vae.device)
        vae._conv_idx = [0]
        decoded: torch.Tensor = vae.decoder(
            latent, feat_cache=vae._feat_map, feat_idx=vae._conv_idx, first_chunk=index == 0
        )
        if self.count > 1:
            self._put_away(vae, (top, left), is_last=index + 1 == self._latents.shape[2])
        return decoded

    def _put_away(self, vae: Any, tile: tuple[int, int], *, is_last: bool) -> None:
        if not is_last:
            self._waiting[tile] = _moved(vae._feat_map, "cpu")
        vae.clear_cache()  # before the next tile's features come to the device


def _axes(vae: Any, height: int, width: int) -> tuple[_Axis, _Axis]:
    """Rows and columns of tiles, by the rules of `AutoencoderKLWan._decode` and `tiled_decode`."""
    factor, patch = vae.spatial_compression_ratio, vae.config.patch_size or 1
    fits = height <= vae.tile_sample_min_height // factor and width <= vae.tile_sample_min_width // factor
    if fits or not vae.use_tiling:
        return _whole(height * factor // patch, height), _whole(width * factor // patch, width)

    def cut(size: int, tile: int, stride: int) -> _Axis:
        kept = stride // patch
        return _Axis(range(0, size, stride // factor), tile // factor, kept, tile // patch - kept)

    return (
        cut(height, vae.tile_sample_min_height, vae.tile_sample_stride_height),
        cut(width, vae.tile_sample_min_width, vae.tile_sample_stride_width),
    )


def _whole(decoded: int, size: int) -> _Axis:
    return _Axis(range(1), size, decoded, 0)


def _joined(tiles: list[list[torch.Tensor]], height: int, width: int) -> torch.Tensor:
    """The picture of rows of tiles, of each its first pixels."""
    import torch

    return torch.cat([torch.cat([tile[..., :height, :width] for tile in line], dim=-1) for line in tiles], dim=-2)


def _moved(features: list[Any], device: Any) -> list[Any]:
    """The VAE's list of features on another device; it also has words and gaps in it."""
    import torch

    return [feature.to(device) if isinstance(feature, torch.Tensor) else feature for feature in features]

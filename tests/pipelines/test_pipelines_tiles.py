"""Tiles decoded frame by frame are those that the VAE decodes clip by clip."""

from __future__ import annotations

import pytest
from pipelines_kit import T2V, TI2V, counting

from wan22.pipelines.tiles import Tiles

FRAMES = 3


@pytest.fixture
def rough_vae(demos):
    """Makes a VAE of the model's kind with few and random weights, in 64x64 tiles every 48 pixels."""
    import torch
    from diffusers import AutoencoderKLWan

    def make(model_type):
        config = AutoencoderKLWan.load_config(demos(model_type) / "vae")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            vae = AutoencoderKLWan.from_config(config, base_dim=4).eval()
        vae.enable_tiling(64, 64, 48, 48)
        return vae

    return make


def decoded(vae, height, width, *, frames=FRAMES):
    """The pixels that the VAE itself decodes, and those of Tiles, for the same latents."""
    import torch
    from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

    factor = vae.spatial_compression_ratio
    shape = (1, vae.config.z_dim, frames, height // factor, width // factor)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        tiles = Tiles(vae, vae.post_quant_conv(latents))
        ours = torch.cat([tiles.decode(index) for index in range(frames)], dim=2)
        theirs = vae.decode(latents).sample
    return theirs, unpatchify(ours, vae.config.patch_size).clamp(-1, 1) if vae.config.patch_size else ours.clamp(-1, 1)


both = pytest.mark.parametrize("model_type", [T2V, TI2V])


@both
@pytest.mark.parametrize(("height", "width"), [(160, 160), (64, 176), (192, 32), (112, 96), (64, 64)])
def test_they_join_to_what_one_call_gives(rough_vae, model_type, height, width) -> None:
    """Not to the bit: the convolution before the decoder sees all latents at once here, and there one tile's."""
    theirs, ours = decoded(rough_vae(model_type), height, width)
    assert ours.shape == theirs.shape == (1, 3, 4 * (FRAMES - 1) + 1, height, width)
    assert 0.01 < theirs.std() < 0.9
    assert (ours - theirs).abs().max() < 1e-5


@both
def test_features_of_frames_before_count(rough_vae, model_type) -> None:
    """So that the test above would see a tile that is given another one's features, or none."""
    vae = rough_vae(model_type)
    two, _ = decoded(vae, 96, 96, frames=2)
    three, _ = decoded(vae, 96, 96, frames=3)
    assert not (three[:, :, 5:] - two[:, :, 1:]).abs().max() < 1e-3


@both
@pytest.mark.parametrize(("height", "width", "count"), [(64, 64, 1), (64, 80, 4), (32, 80, 2), (160, 160, 16)])
def test_the_tiles_of_a_frame_are_counted(rough_vae, model_type, height, width, count) -> None:
    import torch

    vae = rough_vae(model_type)
    factor = vae.spatial_compression_ratio
    tiles = Tiles(vae, torch.zeros(1, vae.config.z_dim, 1, height // factor, width // factor))
    with torch.no_grad(), counting(vae.decoder) as calls:
        tiles.decode(0)
    assert tiles.count == calls[0] == count


@both
def test_without_tiling_there_is_one(rough_vae, model_type) -> None:
    import torch

    vae = rough_vae(model_type)
    vae.use_tiling = False
    assert Tiles(vae, torch.zeros(1, vae.config.z_dim, 1, 40, 40)).count == 1


@both
@pytest.mark.parametrize(("side", "keeps"), [(64, True), (160, False)])
def test_the_vae_keeps_the_features_of_an_only_tile_between_frames(rough_vae, model_type, side, keeps) -> None:
    """Those of many wait elsewhere, so that the device's memory does not grow with their number."""
    import torch

    vae = rough_vae(model_type)
    cells = side // vae.spatial_compression_ratio
    tiles = Tiles(vae, torch.zeros(1, vae.config.z_dim, 2, cells, cells))
    with torch.no_grad():
        tiles.decode(0)
    assert any(feature is not None for feature in vae._feat_map) is keeps

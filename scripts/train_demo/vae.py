"""The small VAEs, their forward passes over whole clips, and how they are trained.

diffusers encodes and decodes four frames at a time with a cache between, which is slow to train through: over a whole
clip at once the resampling layers do the same without a cache (a test holds that to 1e-5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def new_vae(kind: str) -> Any:
    """An untrained AutoencoderKLWan: `wan21` (8 x 8 pixels a latent, 16 channels) or `wan22` (16 x 16, 48).

    Both fold 2 x 2 pixels into channels first, as Wan 2.2's own does; it makes the first kind three times as fast.
    """
    from diffusers import AutoencoderKLWan

    z_dim, dim_mult = (16, [1, 2, 4]) if kind == "wan21" else (48, [1, 2, 4, 4])
    return AutoencoderKLWan(
        base_dim=16,
        z_dim=z_dim,
        dim_mult=dim_mult,
        num_res_blocks=1,
        temperal_downsample=[True, True] if kind == "wan21" else [False, True, True],
        is_residual=kind == "wan22",
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=8 if kind == "wan21" else 16,
        latents_mean=[0.0] * z_dim,
        latents_std=[1.0] * z_dim,
    )


def over_whole_clips(vae: Any) -> None:
    """Let `encode` and `decode` below take clips whole, and let RMS norms be fast in half precision."""
    from diffusers.models.autoencoders import autoencoder_kl_wan as wan

    for module in vae.modules():
        if isinstance(module, wan.WanResample):
            module.forward = _resample.__get__(module)
        elif isinstance(module, wan.WanRMS_norm):
            module.forward = _norm.__get__(module)


def encode(vae: Any, clips: torch.Tensor) -> torch.Tensor:
    """Means of latents (B, z, 1 + (T - 1) / 4, h, w), not normalised, of clips (B, 3, T, H, W) within -1 to 1."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import patchify

    moments = vae.quant_conv(vae.encoder(patchify(clips, vae.config.patch_size)))
    return moments[:, : vae.config.z_dim]


def decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Clips (B, 3, T, H, W), not clamped, of latents that are not normalised."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

    frames = vae.decoder(vae.post_quant_conv(latents), first_chunk=True)
    return unpatchify(frames, vae.config.patch_size)


def _norm(self: Any, x: torch.Tensor) -> torch.Tensor:
    mean = x.float().square().mean(1 if self.channel_first else -1, keepdim=True)
    return x * (mean + 1e-12).rsqrt().to(x.dtype) * self.gamma.to(x.dtype)


def _resample(self: Any, x: torch.Tensor, feat_cache: Any = None, feat_idx: Any = None) -> torch.Tensor:
    """WanResample.forward over a whole clip: the first frame stays alone, all others go in pairs."""
    import torch

    if self.mode == "upsample3d" and x.shape[2] > 1:
        pairs = self.time_conv(x[:, :, 1:])
        pairs = pairs.unflatten(1, (2, self.dim)).permute(0, 2, 3, 1, 4, 5).flatten(2, 3)
        x = torch.cat([x[:, :, :1], pairs], dim=2)
    batch, _, frames = x.shape[:3]
    x = self.resample(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, frames)).transpose(1, 2)
    if self.mode == "downsample3d" and frames > 1:
        x = torch.cat([x[:, :, :1], self.time_conv(x)], dim=2)
    return x


def forget_time(vae: Any) -> None:
    """Let an untrained VAE treat each frame alone, so that what it learns from single frames serves clips too.

    Convolutions see only the present, and the layers that halve or double the frames pass one frame through.
    """
    import torch
    from diffusers.models.autoencoders import autoencoder_kl_wan as wan

    with torch.no_grad():
        for module in vae.modules():
            if isinstance(module, wan.WanCausalConv3d) and module.kernel_size[0] == 3:
                module.weight[:, :, :2] = 0
            if isinstance(module, wan.WanResample) and hasattr(module, "time_conv"):
                copies = module.time_conv.out_channels // module.dim
                module.time_conv.weight[:, :, 2, 0, 0] = torch.eye(module.dim).repeat(copies, 1)
                module.time_conv.bias.zero_()


def lay_out_for_speed(vae: Any) -> None:
    """Channels last: up to twice as fast on a CPU."""
    import torch

    for module in vae.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)
        elif isinstance(module, torch.nn.Conv2d):
            module.to(memory_format=torch.channels_last)

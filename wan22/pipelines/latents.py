"""Between the VAE's own latents and the normalised ones that transformers see. Formulas as in diffusers' pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def normalised(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """(z - mean) / std of each channel, float32; `latents` (B, z, T, h, w) as the VAE gives them."""
    mean, inverse_std = _statistics(vae, latents.float())
    return (latents.float() - mean) * inverse_std


def denormalised(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """The way back, in the VAE's dtype and on its device, to what its decoder takes; bitwise as diffusers does it."""
    latents = latents.to(vae.device, vae.dtype)
    mean, inverse_std = _statistics(vae, latents)
    return latents / inverse_std + mean


def _statistics(vae: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and 1 / std of each channel, shaped to act on `like` and of its dtype."""
    import torch

    mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
    inverse_std = 1.0 / torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
    return mean.to(like.device, like.dtype), inverse_std.to(like.device, like.dtype)

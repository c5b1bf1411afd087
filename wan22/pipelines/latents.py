"""Latents: how many channels each model's have, and the way between the VAE's own and those that transformers see.

Formulas as in diffusers' pipelines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wan22.tasks import ModelType

if TYPE_CHECKING:
    import torch

CHANNELS = {ModelType.T2V_A14B: 16, ModelType.I2V_A14B: 16, ModelType.TI2V_5B: 48}  # z_dim of the VAE
_MASK_CHANNELS = 4  # one for each frame of a latent frame: whether it is given


def transformer_channels(model_type: ModelType) -> int:
    """What the model's transformers take in: latents, and for I2V-A14B the mask and the given frames beside them."""
    latent = CHANNELS[model_type]
    return latent + _MASK_CHANNELS + latent if model_type is ModelType.I2V_A14B else latent


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

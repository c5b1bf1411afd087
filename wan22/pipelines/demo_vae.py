"""Weights for a small Wan VAE that needs no training: it carries mean colours through and leaves everything else out.

Each latent pixel is a random mixture of the mean colour of its block of pixels, and the decoder paints soft patches in
those colours. So a picture survives, blurred, and noise becomes clouds; with random weights both would be glare.

How the real network's layers are made to do that: residual and attention branches add nothing, resampling layers
average and blur, and the two last layers, where RMS norm and SiLU stand before the convolution, see the colours as
small deviations beside one large constant channel, where both are almost linear.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_CONSTANT = 4.0  # of the channel beside which colours, within -1 to 1, are small for the norm
_DEVIATION = 0.2  # what the norm makes of a colour of _CONSTANT: small for SiLU, whose slope at 0 is 1/2
_BLUR = (0.25, 0.5, 0.25)  # after doubling each pixel this interpolates almost linearly
_MEAN_OF_TWO = (0.5, 0.5, 0.0)

Link = tuple[int, int, float]  # to a channel, from a channel, with a weight


def shape_vae(vae: Any) -> None:
    """Set all weights of an AutoencoderKLWan of either kind, and its config's statistics of latents.

    It must have one residual block a level; torch's random numbers decide how colours are mixed.
    """
    import torch

    with torch.no_grad():
        for module in vae.modules():
            _shape(module, residual=vae.config.is_residual)
        mixture = torch.randn(vae.config.z_dim, 3)
        _shape_encoder(vae, mixture)
        _shape_decoder(vae, torch.linalg.pinv(mixture))
        # Colours in -1 to 1 spread by about a half. Noise, which is all that untrained transformers leave, is spread
        # over all z channels and loses what does not lie in the 3 of colour: so it is given that much more.
        spread = 0.5 * mixture.norm(dim=1) * (vae.config.z_dim / 3) ** 0.5
    vae.register_to_config(latents_mean=[0.0] * vae.config.z_dim, latents_std=spread.tolist())


def _shape(module: Any, *, residual: bool) -> None:
    """One layer of the many that are alike."""
    kind = type(module).__name__
    if kind == "WanResidualBlock":
        _silence(module.conv2)
        if hasattr(module.conv_shortcut, "weight"):
            _link(module.conv_shortcut, _identity(module.conv_shortcut))
    elif kind == "WanAttentionBlock":
        _silence(module.proj)
    elif kind == "WanResample":
        _shape_resample(module, residual=residual)


def _shape_resample(module: Any, *, residual: bool) -> None:
    """Mean of neighbours on the way down, blur on the way up, in time the mean of two frames and the same one twice.

    The second kind of VAE has shortcuts beside these layers that average and repeat by themselves: there nothing is
    added on the way down, and on the way up what a blur differs by.
    """
    import torch

    is_up = module.mode.startswith("up")
    spatial = module.resample[1]
    taps = torch.tensor(_BLUR if is_up else _MEAN_OF_TWO)
    kernel = torch.outer(taps, taps)
    if residual:
        kernel = kernel - _point(spatial) if is_up else torch.zeros(3, 3)
    _link(spatial, _identity(spatial), kernel)
    if module.mode == "upsample3d":
        _link(module.time_conv, [(to, to % module.dim, 1.0) for to in range(2 * module.dim)])
    elif module.mode == "downsample3d":
        _link(module.time_conv, _identity(module.time_conv), torch.tensor(_MEAN_OF_TWO).flip(0).view(3, 1, 1))


def _shape_encoder(vae: Any, mixture: torch.Tensor) -> None:
    """Pixels to colours at the top, colours to latents at the bottom; the variance of latents stays constant."""
    encoder, patch = vae.encoder, vae.config.in_channels // 3
    _link(encoder.conv_in, [(c, patch * c + n, 1 / patch) for c in range(3) for n in range(patch)])
    # in the second kind a colour has become four, one for each frame of the latent's four, and its last block doubles
    places, gain = ((3, 7, 11), 2.0) if vae.config.is_residual else ((0, 1, 2), 1.0)
    links = [(z, place, row[c].item() / gain) for z, row in enumerate(mixture) for c, place in enumerate(places)]
    _shape_head(encoder, links, constant=encoder.mid_block.resnets[-1])
    _link(vae.quant_conv, _identity(vae.quant_conv))


def _shape_decoder(vae: Any, inverse: torch.Tensor) -> None:
    """Latents to colours at the bottom, colours to pixels at the top."""
    decoder, patch = vae.decoder, vae.config.out_channels // 3
    _link(vae.post_quant_conv, _identity(vae.post_quant_conv))
    # in the second kind the shortcut of the third block takes rows of pixels from two channels in turn
    twins = 2 if vae.config.is_residual else 1
    rows = [(twins * c + n, inverse[c]) for c in range(3) for n in range(twins)]
    _link(decoder.conv_in, [(to, z, weight.item()) for to, row in rows for z, weight in enumerate(row)])
    if vae.config.is_residual:
        _link(decoder.up_blocks[2].resnets[0].conv_shortcut, [(c, twins * c, 1.0) for c in range(3)])
    top = [(patch * c + n, c, 1.0) for c in range(3) for n in range(patch)]
    _shape_head(decoder, top, constant=decoder.up_blocks[-1].resnets[-1])


def _shape_head(part: Any, links: Iterable[Link], *, constant: Any) -> None:
    """The norm, SiLU and convolution at the end of encoder or decoder; `constant` is the last residual block before."""
    constant.conv2.bias[-1] = _CONSTANT
    part.norm_out.gamma.fill_(_DEVIATION / part.norm_out.scale)
    slope = _DEVIATION / _CONSTANT / 2
    _link(part.conv_out, [(to, source, weight / slope) for to, source, weight in links])


def _link(conv: Any, links: Iterable[Link], kernel: torch.Tensor | None = None) -> None:
    """Make the convolution those links and nothing else; `kernel` is what each does in space and time."""
    kernel = _point(conv) if kernel is None else kernel
    _silence(conv)
    for to, source, weight in links:
        conv.weight[to, source] = weight * kernel


def _silence(conv: Any) -> None:
    conv.weight.zero_()
    conv.bias.zero_()


def _identity(conv: Any) -> list[Link]:
    return [(channel, channel, 1.0) for channel in range(min(conv.in_channels, conv.out_channels))]


def _point(conv: Any) -> torch.Tensor:
    """The kernel that takes the pixel itself; in time, where convolutions are causal, that is the last place."""
    import torch

    *time, height, width = conv.kernel_size
    kernel = torch.zeros(conv.kernel_size)
    kernel[(*(length - 1 for length in time), height // 2, width // 2)] = 1.0
    return kernel

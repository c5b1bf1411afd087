"""How many operations a pass of a model takes, in closed form from its sizes; held to torch's own count by a test.

A multiplication and the addition after it are two operations. Norms, activations and casts are left out there: they
cost memory traffic, which is counted for itself. Looks at no machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

_TRAFFIC_WIDTH, _TRAFFIC_TIMES, _TRAFFIC_FFN = 348, 125, 6  # bytes of a token in a layer, for each number of a width

TEXT_TOKENS = 512
"""Every prompt is padded to as many."""


class Operations(NamedTuple):
    """Of one pass, by what computes them: a GPU has other speeds for matrices than for attention."""

    matrices: float
    attention: float

    @property
    def total(self) -> float:
        """Both."""
        return self.matrices + self.attention


@dataclass(frozen=True)
class Transformer:
    """The sizes of a WanTransformer3DModel on which its arithmetic depends."""

    width: int
    ffn_width: int
    layers: int
    text_width: int
    frequencies: int
    inputs: int  # numbers of a token, before the first layer
    outputs: int
    times_tokens: bool = False  # each token is at a noise level of its own, as in TI2V-5B

    @classmethod
    def of(cls, config: Mapping[str, Any], *, times_tokens: bool = False) -> Transformer:
        """From the content of diffusers' config.json."""
        patch = math.prod(config["patch_size"])
        return cls(
            width=config["num_attention_heads"] * config["attention_head_dim"],
            ffn_width=config["ffn_dim"],
            layers=config["num_layers"],
            text_width=config["text_dim"],
            frequencies=config["freq_dim"],
            inputs=config["in_channels"] * patch,
            outputs=config["out_channels"] * patch,
            times_tokens=times_tokens,
        )

    def operations(self, tokens: int) -> Operations:
        """Of one pass over a sequence of so many tokens, for one video; guidance takes two passes a step."""
        width, square = self.width, self.width**2
        layer = tokens * (6 * square + 2 * width * self.ffn_width) + TEXT_TOKENS * 2 * square
        texts = TEXT_TOKENS * (self.text_width * width + square)
        times = (tokens if self.times_tokens else 1) * (self.frequencies * width + 7 * square)
        ends = tokens * width * (self.inputs + self.outputs)
        attention = 2 * self.layers * tokens * (tokens + TEXT_TOKENS) * width
        return Operations(2.0 * (self.layers * layer + texts + times + ends), 2.0 * attention)

    def traffic(self, tokens: int) -> float:
        """Bytes that one pass reads and writes for what is no product of matrices, in bf16 and uncompiled.

        Counted over diffusers' forward, some 86 such operations a layer: norms in fp32, casts, rotations, modulation.
        """
        wide = _TRAFFIC_WIDTH + (_TRAFFIC_TIMES if self.times_tokens else 0)
        return float(tokens) * self.layers * (wide * self.width + _TRAFFIC_FFN * self.ffn_width)


@dataclass(frozen=True)
class TextEncoder:
    """The sizes of a UMT5 encoder; those of UMT5-XXL, which all models have, where none are told."""

    width: int = 4096
    heads_width: int = 4096  # of all heads together
    ffn_width: int = 10_240
    layers: int = 24

    def operations(self, tokens: int = TEXT_TOKENS) -> Operations:
        """Of one prompt."""
        layer = 4 * self.width * self.heads_width + 3 * self.width * self.ffn_width
        attention = 2 * tokens**2 * self.heads_width
        return Operations(2.0 * self.layers * tokens * layer, 2.0 * self.layers * attention)


@dataclass(frozen=True)
class Half:
    """The encoder or the decoder of a VAE: operations for a pixel, over which its convolutions are even."""

    first: float  # of the first frame, which is a latent frame of its own
    following: float  # of each four frames after it
    width: int  # of the attention in its middle, within a frame

    def operations(self, width: int, height: int, num_frames: int, *, stride: int) -> Operations:
        """Of a video of 4n + 1 frames, where a latent place stands for `stride` pixels a side."""
        further = (num_frames - 1) // 4
        places = (width // stride) * (height // stride)
        convolutions = width * height * (self.first + further * self.following)
        return Operations(convolutions, 4.0 * (1 + further) * places**2 * self.width)


@dataclass(frozen=True)
class Vae:
    """Both halves."""

    encoder: Half
    decoder: Half
    stride: int

    def encode(self, width: int, height: int, num_frames: int) -> Operations:
        """Of a video, or of a picture where it is one frame."""
        return self.encoder.operations(width, height, num_frames, stride=self.stride)

    def decode(self, width: int, height: int, num_frames: int) -> Operations:
        """Of a video, as a whole: tiles overlap, and cost more."""
        return self.decoder.operations(width, height, num_frames, stride=self.stride)


WAN_21 = Vae(Half(6.6569e6, 2.00115e7, 384), Half(1.07482e7, 3.37796e7, 384), stride=8)
WAN_22 = Vae(Half(4.64375e6, 1.39635e7, 640), Half(2.27765e7, 7.35765e7, 1024), stride=16)
"""As torch counted them over the networks that both repositories' configs build; A14B has the first, 5B the second."""

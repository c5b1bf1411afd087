"""What each phase of a run asks of a device: operations, traffic of its memory, bytes held beside the weights. Pure.

Counted over the real weights' networks: the operations by closed forms, the bytes over the tensors that are alive at
once in diffusers' forward, with attention that keeps no matrix of scores. The device's share is the caller's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from wan22.models.arithmetic import WAN_21, WAN_22, TextEncoder, Transformer, Vae
from wan22.models.catalogue import ModelSpec
from wan22.tasks import ModelType, Phase, Render, Request

GIB = 2**30


class Work(NamedTuple):
    """Operations by what computes them, bytes of the device's memory read and written, and passes over the weights."""

    matrices: float = 0.0
    attention: float = 0.0
    convolutions: float = 0.0
    traffic: float = 0.0
    passes: float = 0.0  # each reads all weights of one network once


@dataclass(frozen=True)
class Cost:
    """Of one phase, for all outputs of a request."""

    work: Work
    held_bytes: int
    """At once, beside all weights."""


class _Held(NamedTuple):
    """Bytes for each pixel of a frame, while a half of a VAE goes over it."""

    fp32: float
    narrow: float  # in bf16 or fp16

    @classmethod
    def gib(cls, fp32: float, narrow: float) -> _Held:
        """From GiB for a tile of 256x256."""
        return cls(fp32 * GIB / _TILE_AREA, narrow * GIB / _TILE_AREA)


class _VaeCost(NamedTuple):
    vae: Vae
    decoding: _Held
    encoding: _Held


_TILE_AREA = 256 * 256  # the held bytes were counted over tiles of that size

_TEXT_HELD_BYTES = 100_000_000
_OF_A14B = _VaeCost(WAN_21, _Held.gib(1.196, 0.621), _Held.gib(0.868, 0.457))
_OF_5B = _VaeCost(WAN_22, _Held.gib(1.323, 0.662), _Held.gib(0.12, 0.06))  # it encodes single pictures
_VAES = MappingProxyType({ModelType.T2V_A14B: _OF_A14B, ModelType.I2V_A14B: _OF_A14B, ModelType.TI2V_5B: _OF_5B})
_TOKEN_BYTES = MappingProxyType(  # in bf16
    {ModelType.T2V_A14B: 114_000, ModelType.I2V_A14B: 114_000, ModelType.TI2V_5B: 85_000}
)
_TIMED_TOKEN_BYTES = 200_000  # of the last, where each token is at a noise level of its own
_WHOLE_SHARE = 0.52  # of it, needed for all tokens where blocks work on slices: 12 slices took 0.47 to 0.56 in all


def costs_of(
    spec: ModelSpec,
    request: Request,
    render: Render,
    *,
    tile: int | None,
    slices: int | None,
    compute: str,
    vae: str,
    at_once: int = 1,
) -> dict[Phase, Cost]:
    """The phases that `request` goes through, in their order, rendered so; dtypes are fp32, bf16 or fp16.

    `tile`: pixels a side of the VAE's tiles, None for whole frames; `slices`: tokens that the transformer's blocks work
    on at once, None for all; `at_once`: videos that are denoised together.
    """
    costs = {Phase.TEXT_ENCODE: _text(request)}
    if request.image:
        costs[Phase.IMAGE_ENCODE] = _image(spec, render, tile=tile, dtype=vae)
    costs[Phase.DENOISE] = _denoising(spec, request, render, compute, slices=slices, at_once=at_once)
    costs[Phase.DECODE] = _decoding(spec, request, render, tile=tile, dtype=vae)
    return costs


def tokens_of(spec: ModelSpec, render: Render) -> int:
    """Length of the sequence that the transformer works on."""
    latent_frames = (render.num_frames - 1) // spec.temporal_stride + 1
    return (render.width // spec.size_multiple) * (render.height // spec.size_multiple) * latent_frames


def activations_bytes(spec: ModelSpec, render: Render, *, with_picture: bool = True, compute: str = "bf16") -> int:
    """What the transformer holds beside its weights in one pass over the whole sequence."""
    each = _TIMED_TOKEN_BYTES if _has_times(spec, with_picture=with_picture) else _TOKEN_BYTES[spec.model_type]
    return each * tokens_of(spec, render) * (2 if compute == "fp32" else 1)


def vae_of(spec: ModelSpec) -> Vae:
    """Of the model's real weights."""
    return _VAES[spec.model_type].vae


def transformer_of(spec: ModelSpec, *, with_picture: bool = True) -> Transformer:
    """The sizes of the model's real transformers."""
    return Transformer.of(spec.transformer, times_tokens=_has_times(spec, with_picture=with_picture))


def _has_times(spec: ModelSpec, *, with_picture: bool) -> bool:
    """Whether each token is at a noise level of its own: 5B has its first frame clean where a picture is given."""
    return spec.model_type is ModelType.TI2V_5B and with_picture


def _text(request: Request) -> Cost:
    prompts = 2 if request.passes_a_step > 1 else 1
    each = TextEncoder().operations()
    return Cost(Work(prompts * each.matrices, prompts * each.attention, passes=prompts), _TEXT_HELD_BYTES)


def _image(spec: ModelSpec, render: Render, *, tile: int | None, dtype: str) -> Cost:
    """A14B encodes a whole video, grey but for what is given; the other one a picture."""
    frames = render.num_frames if spec.takes_image == "always" else 1
    cost = _VAES[spec.model_type]
    encoding = cost.vae.encode(render.width, render.height, frames)
    return _with_vae(encoding.total, cost.encoding, render, tile=tile, dtype=dtype)


def _denoising(
    spec: ModelSpec, request: Request, render: Render, compute: str, *, slices: int | None, at_once: int
) -> Cost:
    together = min(at_once, request.num_videos)
    passes = request.num_videos * request.steps_taken * request.passes_a_step
    with_picture = request.image is not None and request.strength is None
    tokens, transformer = tokens_of(spec, render), transformer_of(spec, with_picture=with_picture)
    each = transformer.operations(tokens)
    work = Work(
        passes * each.matrices,
        passes * each.attention,
        traffic=passes * transformer.traffic(tokens),
        passes=passes * math.ceil(request.num_videos / together) / request.num_videos,
    )
    held = together * activations_bytes(spec, render, with_picture=with_picture, compute=compute)
    if slices and slices < tokens:
        held = round(held * (_WHOLE_SHARE + (1 - _WHOLE_SHARE) * slices / tokens))
    return Cost(work, held)


def _decoding(spec: ModelSpec, request: Request, render: Render, *, tile: int | None, dtype: str) -> Cost:
    cost = _VAES[spec.model_type]
    decoding = cost.vae.decode(render.width, render.height, render.num_frames)
    return _with_vae(request.num_videos * decoding.total, cost.decoding, render, tile=tile, dtype=dtype)


def _with_vae(operations: float, held: _Held, render: Render, *, tile: int | None, dtype: str) -> Cost:
    sides, each = (render.width, render.height), held.fp32 if dtype == "fp32" else held.narrow
    if tile is None or max(sides) <= tile:
        return Cost(Work(convolutions=operations), round(each * math.prod(sides)))
    more = math.prod(_tiled(side, tile) / side for side in sides)
    return Cost(Work(convolutions=operations * more), round(each * math.prod(min(side, tile) for side in sides)))


def _tiled(side: int, tile: int) -> int:
    """Pixels of all tiles along a side together; a tile begins where three quarters of the one before it end."""
    return sum(min(tile, side - begin) for begin in range(0, side, 3 * tile // 4))

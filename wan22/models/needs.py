"""How much memory and arithmetic a size asks of a model's real weights, by counting. Looks at no machine.

The bytes were counted over the tensors that are alive at once in diffusers' forward, batch 1, attention that keeps no
matrix of scores. None of it was measured on a GPU: what was is in the history of tasks.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

from wan22.models.arithmetic import WAN_21, WAN_22, TextEncoder, Transformer
from wan22.models.catalogue import ModelSpec
from wan22.models.geometry import render_for
from wan22.tasks import ModelType, Render

# Diffusers' documentation tells of 12.1 GiB where this way of counting gives 8.8: fragments, and layers fetched ahead.
HEADROOM = 1.4

_CONTEXT_BYTES = 750_000_000  # of CUDA, cuBLAS and cuDNN
_TOKEN_BYTES = MappingProxyType(
    {ModelType.T2V_A14B: 114_000, ModelType.I2V_A14B: 114_000, ModelType.TI2V_5B: 200_000}  # the last: a time each
)
_STREAMED_BYTES = MappingProxyType(  # two neighbouring layers, while weights are streamed from RAM
    {ModelType.T2V_A14B: 460_000_000, ModelType.I2V_A14B: 460_000_000, ModelType.TI2V_5B: 170_000_000}
)
_BF16_BYTES = 2
EIGHT_BIT_BYTES = 1.008
"""Of a number in int8 or fp8, with scales and what stays wider: 1.0073 over A14B's transformers, 1.0083 over 5B's."""


class Vram(NamedTuple):
    """Bytes on the GPU, with weights streamed from RAM: what is surely needed, and what is likely to be."""

    least: int
    likely: int


def render_of(spec: ModelSpec, width: int, height: int, num_frames: int) -> Render:
    """What the real weights render for such a file."""
    return render_for(width=width, height=height, num_frames=num_frames, spec=spec, native_area=None, keep_last=False)


def tokens_of(spec: ModelSpec, render: Render) -> int:
    """Length of the sequence that the transformer works on."""
    latent_frames = (render.num_frames - 1) // spec.temporal_stride + 1
    return (render.width // spec.size_multiple) * (render.height // spec.size_multiple) * latent_frames


def vram_for(spec: ModelSpec, render: Render) -> Vram:
    """For the denoising, with the VAE beside it in bf16; never under the least that the model is said to need."""
    activations = _TOKEN_BYTES[spec.model_type] * tokens_of(spec, render)
    held = _BF16_BYTES * spec.vae_parameters + _STREAMED_BYTES[spec.model_type]
    counted = activations + held + _CONTEXT_BYTES
    return Vram(max(spec.min_vram_bytes, counted), max(spec.min_vram_bytes, int(HEADROOM * counted)))


def ram_for(spec: ModelSpec, *, in_eight_bits: bool = False) -> int:
    """Bytes of all weights in bf16, the transformers' in 8 bits if told, which wait in RAM while they are streamed."""
    width = {"transformer": EIGHT_BIT_BYTES} if in_eight_bits else {}
    return round(sum(width.get(part, _BF16_BYTES) * count for part, count in spec.parameters.items()))


def flops_for(spec: ModelSpec, render: Render) -> float:
    """Operations of a whole run with the model's defaults: the prompts, the denoising and the decoding."""
    passes = 2 if spec.defaults.guidance_scale > 1 else 1
    is_small = spec.model_type is ModelType.TI2V_5B
    each = Transformer.of(spec.transformer, times_tokens=is_small).operations(tokens_of(spec, render))
    decoding = (WAN_22 if is_small else WAN_21).decode(render.width, render.height, render.num_frames)
    return passes * (TextEncoder().operations().total + spec.defaults.steps * each.total) + decoding.total

"""How much memory and arithmetic a size asks of a model's real weights, by counting. Looks at no machine.

What is counted is `cost`'s. None of it was measured on a GPU: what was is in the history of tasks.
"""

from __future__ import annotations

from typing import NamedTuple

from wan22.models.arithmetic import TextEncoder
from wan22.models.catalogue import ModelSpec
from wan22.models.cost import activations_bytes, tokens_of, transformer_of, vae_of
from wan22.models.geometry import render_for
from wan22.tasks import Render

# Diffusers' documentation tells of 12.1 GiB where this way of counting gives 8.8: fragments, and layers fetched ahead.
HEADROOM = 1.4

CONTEXT_BYTES = 750_000_000  # of CUDA, cuBLAS and cuDNN
LAYERS_SHARE = 0.0165  # of a transformer, on the GPU at once while its layers are streamed from RAM: two neighbours
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


def vram_for(spec: ModelSpec, render: Render) -> Vram:
    """For the denoising, with the VAE beside it in bf16; never under the least that the model is said to need."""
    held = _BF16_BYTES * round(spec.vae_parameters + LAYERS_SHARE * spec.transformer_parameters)
    counted = activations_bytes(spec, render) + held + CONTEXT_BYTES
    return Vram(max(spec.min_vram_bytes, counted), max(spec.min_vram_bytes, int(HEADROOM * counted)))


def ram_for(spec: ModelSpec, *, in_eight_bits: bool = False) -> int:
    """Bytes of all weights in bf16, the transformers' in 8 bits if told, which wait in RAM while they are streamed."""
    width = {"transformer": EIGHT_BIT_BYTES} if in_eight_bits else {}
    return round(sum(width.get(part, _BF16_BYTES) * count for part, count in spec.parameters.items()))


def flops_for(spec: ModelSpec, render: Render) -> float:
    """Operations of a whole run with the model's defaults: the prompts, the denoising and the decoding."""
    passes = 2 if spec.defaults.guidance_scale > 1 else 1
    each = transformer_of(spec).operations(tokens_of(spec, render))
    decoding = vae_of(spec).decode(render.width, render.height, render.num_frames)
    return passes * (TextEncoder().operations().total + spec.defaults.steps * each.total) + decoding.total

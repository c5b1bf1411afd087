"""The small Wan transformers, and their forward pass on texts without padding (see `text`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from train_demo import device
from train_demo.text import WIDTH, Text

if TYPE_CHECKING:
    import torch

CHANNELS = {"t2v": (16, 16), "i2v": (36, 16), "ti2v": (48, 48)}
"""What goes in and what comes out; for i2v the noise, 4 of mask and 16 of the given frames."""


def new_transformer(kind: str) -> Any:
    """An untrained WanTransformer3DModel.

    A token carries its noise through all blocks, to be subtracted in the end: 64 numbers of it, or 192 of 2.2's VAE.
    What the width has beyond that is left to work with; with 32 numbers beyond, words were hardly learned.
    """
    from diffusers import WanTransformer3DModel

    channels, out_channels = CHANNELS[kind]
    heads, layers, ffn = (8, 4, 448) if kind == "ti2v" else (4, 5, 512)
    return WanTransformer3DModel(
        num_attention_heads=heads,
        attention_head_dim=32,
        in_channels=channels,
        out_channels=out_channels,
        text_dim=WIDTH,
        freq_dim=64,
        ffn_dim=ffn,
        num_layers=layers,
    )


def read_short_texts(transformer: Any) -> None:
    """Let the transformer take a `Text`, and attend fast on a CPU; undone by loading its weights into a new one."""
    for block in transformer.blocks:
        block.attn1.set_processor(_SelfAttention())
        block.attn2.set_processor(_CrossAttention())


def velocity(transformer: Any, latents: torch.Tensor, timesteps: torch.Tensor, text: Text) -> torch.Tensor:
    """What the transformer predicts, noise less latents, float32; timesteps (B,) or (B, tokens) from 0 to 1000."""
    for block in transformer.blocks:
        block.attn2.processor.bias = text.bias
    made = transformer(latents, timesteps, text.states, return_dict=False)[0]
    return made.float()


def widened(transformer: Any) -> Any:
    """One for pictures that does at first what `transformer`, one for texts, does: what it is given counts nothing."""
    import torch

    wide = new_transformer("i2v")
    values = transformer.state_dict()
    narrow = values.pop("patch_embedding.weight")
    wide.load_state_dict(values, strict=False)
    with torch.no_grad():
        wide.patch_embedding.weight.zero_()
        wide.patch_embedding.weight[:, : narrow.shape[1]] = narrow
    return wide


def add_difference(transformer: Any, before: Any, after: Any) -> None:
    """Add what training changed from `before` to `after` to every parameter; where one is wider, to its first part."""
    import torch

    old, new = before.state_dict(), after.state_dict()
    with torch.no_grad():
        for name, value in transformer.named_parameters():
            if value.shape == old[name].shape:
                value.add_(new[name] - old[name])
            else:
                value[:, : old[name].shape[1]].add_(new[name] - old[name])


class _SelfAttention:
    """WanAttnProcessor's formula; the backward pass of torch's fused attention is four times slower at this size."""

    def __call__(self, attn: Any, states: Any, encoded: Any = None, mask: Any = None, rotary: Any = None) -> Any:
        query, key, value = _projected(attn, states, states)
        query, key = (_turned(part, rotary).to(value.dtype) for part in (query, key))
        return attn.to_out[0](_attend(query, key, value))


class _CrossAttention:
    """The same over few tokens, each with a bias; float32 is faster for so few."""

    bias: Any = None

    def __call__(self, attn: Any, states: Any, encoded: Any = None, mask: Any = None, rotary: Any = None) -> Any:
        query, key, value = _projected(attn, states, encoded)
        return attn.to_out[0](_attend(query, key, value.float(), bias=self.bias))


def _projected(attn: Any, states: torch.Tensor, encoded: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Query, key and value, (B, tokens, heads, width); the first two normalised, in float32."""
    parts = attn.norm_q(attn.to_q(states).float()), attn.norm_k(attn.to_k(encoded).float()), attn.to_v(encoded)
    return tuple(part.unflatten(2, (attn.heads, -1)) for part in parts)


def _turned(heads: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Rotary positions: pairs of numbers as complex ones, times a phase; (B, tokens, heads, width)."""
    import torch

    cos, sin = rotary
    phase = torch.complex(cos[..., 0::2].float(), sin[..., 1::2].float())
    return torch.view_as_real(torch.view_as_complex(heads.float().unflatten(-1, (-1, 2))) * phase).flatten(-2)


def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: Any = None) -> torch.Tensor:

    with device.in_bfloat16(enabled=False):
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        scores = scores if bias is None else scores + bias
        return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)

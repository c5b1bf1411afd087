"""The small UMT5 encoder and what transformers take from it, without the padding that a pipeline adds.

Wan's pipelines pad every text to 512 tokens of zeros and let the transformer attend to all of them. That many equal
keys are one key with a bias of the logarithm of their number: exact, and much cheaper in training.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from train_demo.captions import tokenizer, vocabulary

if TYPE_CHECKING:
    import torch

WIDTH = 96
LENGTH = 512
"""Tokens that Wan's pipelines pad a text to."""


class Text(NamedTuple):
    """A batch of texts: (B, L + 1, WIDTH), the last token standing for all padding, and the bias (B, 1, 1, L + 1)."""

    states: torch.Tensor
    bias: torch.Tensor


def new_encoder() -> Any:
    """An untrained UMT5EncoderModel of two blocks."""
    from transformers import UMT5Config, UMT5EncoderModel

    config = UMT5Config(
        vocab_size=len(vocabulary()),
        d_model=WIDTH,
        d_kv=24,
        d_ff=192,
        num_heads=4,
        num_layers=2,
        dropout_rate=0.0,
        is_encoder_decoder=False,
    )
    encoder = UMT5EncoderModel(config)
    for block in encoder.encoder.block:
        _look_at_neighbours(block.layer[0].SelfAttention.relative_attention_bias.weight)
    return encoder


def _look_at_neighbours(bias: torch.Tensor) -> None:
    """Begin with heads that see the next word or two, or the last, in a bias (buckets, heads) by distance.

    Else a word hardly knows its neighbours at first, and whether "green" belongs to the thing or to the background was
    still not learned after 4,800 steps; with this it was after a few hundred.
    """
    import torch

    last, last_but_one, following, second = 1, 2, 17, 18  # UMT5's buckets for these distances
    with torch.no_grad():
        bias[following, 0] += 4
        bias[last, 1] += 4
        bias[[following, second], 2] += 2
        bias[[last, last_but_one], 3] += 2


class Reader:
    """Texts to `Text`, through an encoder that may be in training."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self._tokenizer = tokenizer()

    def __call__(self, texts: list[str]) -> Text:
        """Encode a batch."""
        import torch

        tokens = self._tokenizer(texts, padding=True, return_tensors="pt").to(self.encoder.device)
        mask = tokens.attention_mask
        states = self.encoder(input_ids=tokens.input_ids, attention_mask=mask).last_hidden_state * mask.unsqueeze(-1)
        states = torch.nn.functional.pad(states, (0, 0, 0, 1))
        bias = torch.zeros(mask.shape[0], mask.shape[1] + 1)
        bias[:, :-1] = torch.where(mask.bool(), 0.0, -math.inf)
        bias[:, -1] = torch.log((LENGTH - mask.sum(1)).float())
        return Text(states, bias[:, None, None])

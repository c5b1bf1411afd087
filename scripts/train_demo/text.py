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
    return UMT5EncoderModel(config)


class Reader:
    """Texts to `Text`, through an encoder that may be in training."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self._tokenizer = tokenizer()

    def __call__(self, texts: list[str]) -> Text:
        """Encode a batch."""
        import torch

        tokens = self._tokenizer(texts, padding=True, return_tensors="pt")
        mask = tokens.attention_mask
        states = self.encoder(input_ids=tokens.input_ids, attention_mask=mask).last_hidden_state * mask.unsqueeze(-1)
        states = torch.nn.functional.pad(states, (0, 0, 0, 1))
        bias = torch.zeros(mask.shape[0], mask.shape[1] + 1)
        bias[:, :-1] = torch.where(mask.bool(), 0.0, -math.inf)
        bias[:, -1] = torch.log((LENGTH - mask.sum(1)).float())
        return Text(states, bias[:, None, None])

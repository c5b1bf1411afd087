"""Embedded prompts on disk: a task whose prompts were embedded before never loads the text encoder.

Of all weights of a model on 16 GB that is the part that is read, streamed and left again for two sentences, one of
them nearly always the same. Files are small (8 kB a word in bf16).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wan22.pipelines.kept import NOTHING_KEPT, Kept

if TYPE_CHECKING:
    import torch

_NAME = "embedding"


@dataclass(frozen=True)
class PromptCache:
    """What is kept is without the padding after the text, which is all zeros."""

    kept: Kept

    def get(self, encoder: str, prompt: str, *, tokens: int) -> torch.Tensor | None:
        """The embedding (1, tokens, width) that this text encoder made of the prompt, on the CPU; None if unknown."""
        import torch

        found = self.kept.get(encoder, prompt)
        if found is None:
            return None
        try:
            spoken = found[_NAME]
            return torch.cat([spoken, spoken.new_zeros(tokens - len(spoken), spoken.shape[1])])[None]
        except (KeyError, RuntimeError, IndexError) as error:
            self.kept.complain("read", error)
            return None

    def put(self, encoder: str, prompt: str, embedding: torch.Tensor) -> None:
        """Keep an embedding (1, tokens, width)."""
        rows = embedding[0].any(dim=1).nonzero()
        self.kept.put({_NAME: embedding[0, : int(rows[-1]) + 1 if len(rows) else 0]}, encoder, prompt)


NO_CACHE = PromptCache(NOTHING_KEPT)

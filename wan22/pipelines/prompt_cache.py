"""Embedded prompts on disk: a task whose prompts were embedded before never loads the text encoder.

Of all weights of a model on 16 GB that is the part that is read, streamed and left again for two sentences, one of
them nearly always the same. What comes back is bit for bit what was put in. Files are small (8 kB a word in bf16); the
ones that were unused longest go first.
"""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_NAME = "embedding"


@dataclass(frozen=True)
class PromptCache:
    """A folder of embeddings that holds at most so many bytes. A disk that fails makes it forget, and nothing worse."""

    folder: Path
    max_bytes: int = 0
    """0: nothing is kept, and nothing that was kept is used."""

    def get(self, encoder: str, prompt: str, *, tokens: int) -> torch.Tensor | None:
        """The embedding (1, tokens, width) that this text encoder made of the prompt, on the CPU; None if unknown."""
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self._path(encoder, prompt)
        if not self.max_bytes or not path.is_file():
            return None
        try:
            spoken = load_file(path)[_NAME]
            os.utime(path)  # it was used now
            return torch.cat([spoken, spoken.new_zeros(tokens - len(spoken), spoken.shape[1])])[None]
        except (OSError, SafetensorError, KeyError, RuntimeError, IndexError) as error:
            logger.warning("A kept prompt can't be read: %s", error, extra={"action": "prompt_cache.unreadable"})
            return None

    def put(self, encoder: str, prompt: str, embedding: torch.Tensor) -> None:
        """Keep an embedding (1, tokens, width). The padding after the text is all zeros, and is left out."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        if not self.max_bytes:
            return
        rows = embedding[0].any(dim=1).nonzero()
        spoken = embedding[0, : int(rows[-1]) + 1 if len(rows) else 0].contiguous().cpu()
        path = self._path(encoder, prompt)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({_NAME: spoken}, part)
            part.replace(path)
            self._make_room()
        except (OSError, SafetensorError) as error:  # the second for what the first says elsewhere
            logger.warning("A prompt can't be kept: %s", error, extra={"action": "prompt_cache.unwritable"})
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _path(self, encoder: str, prompt: str) -> Path:
        """No word of the prompt is in the name, nor in the file."""
        digest = hashlib.sha256(f"{encoder}\n{prompt}".encode("utf-8", "surrogatepass")).hexdigest()
        return self.folder / f"{digest}.safetensors"

    def _make_room(self) -> None:
        """Remove what was unused longest until the rest is within the limit."""
        kept = sorted(((path.stat().st_mtime_ns, path) for path in self.folder.iterdir()), reverse=True)
        held = 0
        for _, path in kept:
            held += path.stat().st_size
            if held > self.max_bytes:
                path.unlink(missing_ok=True)


NO_CACHE = PromptCache(Path())

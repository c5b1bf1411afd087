"""Tensors on disk by what they were made of: a folder that holds at most so many bytes.

What comes back is bit for bit what was put in. The ones that were unused longest go first. A disk that fails makes it
forget, and nothing worse.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """The folder. Keys are all that the tensors depend on; no word of them is in a name, nor in a file."""

    folder: Path
    max_bytes: int = 0
    """0: nothing is kept, and nothing that was kept is used."""

    def get(self, *key: str) -> dict[str, torch.Tensor] | None:
        """The tensors by name, on the CPU; None if unknown."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self.path(*key)
        if not self.max_bytes or not path.is_file():
            return None
        try:
            found: dict[str, torch.Tensor] = load_file(path)
            os.utime(path)  # it was used now
        except (OSError, SafetensorError) as error:
            self.complain("read", error)
            return None
        return found

    def put(self, tensors: Mapping[str, torch.Tensor], *key: str) -> None:
        """Keep the tensors."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        if not self.max_bytes:
            return
        path = self.path(*key)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, part)
            part.replace(path)
            self._make_room()
        except (OSError, SafetensorError) as error:  # the second for what the first says elsewhere
            self.complain("kept", error)
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def path(self, *key: str) -> Path:
        """Where the tensors of that key are, if they are."""
        digest = hashlib.sha256("\n".join(key).encode("utf-8", "surrogatepass")).hexdigest()
        return self.folder / f"{digest}.safetensors"

    def complain(self, what: str, error: Exception) -> None:
        """Into the log: that something can't be read, or kept."""
        logger.warning("A file in %s can't be %s: %s", self.folder, what, error, extra={"action": "kept.failed"})

    def _make_room(self) -> None:
        """Remove what was unused longest until the rest is within the limit."""
        kept = sorted(((path.stat().st_mtime_ns, path) for path in self.folder.iterdir()), reverse=True)
        held = 0
        for _, path in kept:
            held += path.stat().st_size
            if held > self.max_bytes:
                path.unlink(missing_ok=True)


NOTHING_KEPT = Kept(Path())

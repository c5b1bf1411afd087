"""A file that takes up space until it is needed: on a full disk SQLite can't even record that a task has ended."""

from __future__ import annotations

import logging
from pathlib import Path

logger = logging.getLogger(__name__)

SIZE_BYTES = 8 * 2**20  # a finish or a deletion writes some pages of 4 KiB: enough for hundreds


class Ballast:
    """Made at the start of the server, dropped once while it runs; the next start makes it again."""

    def __init__(self, path: Path, *, size_bytes: int = SIZE_BYTES) -> None:
        self._path = path
        self._size_bytes = size_bytes

    def make(self) -> None:
        """Write the file if it is not there whole; do without it where the disk is full already."""
        try:
            if not self._path.is_file() or self._path.stat().st_size < self._size_bytes:
                self._path.write_bytes(bytes(self._size_bytes))
        except OSError as error:
            self._path.unlink(missing_ok=True)
            logger.warning("No space is held back for the database: %s.", error, extra={"action": "ballast.missing"})

    def drop(self) -> bool:
        """Give the space back; False if that was done before."""
        try:
            self._path.unlink()
        except OSError:
            return False
        logger.warning("The disk is full; the space held back is in use.", extra={"action": "ballast.drop"})
        return True

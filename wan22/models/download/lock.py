"""Keeps a second download out of a model's folder; the lock itself is `wan22.locks`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wan22.errors import DownloadFailed
from wan22.locks import FileLock
from wan22.models.download.manifest import OURS


@contextmanager
def only_one(target: Path) -> Iterator[None]:
    """Nobody else writes into `target`, which is made, while the block runs. Raises DownloadFailed, or OSError.

    Two at a time would write into the same parts.
    """
    (target / OURS).mkdir(parents=True, exist_ok=True)
    lock = FileLock(target / OURS / "lock")
    try:
        if not lock.take():
            raise DownloadFailed(
                f"Another process ({lock.holder()}) is writing into {target}.",
                hint="Wait until it is done, or stop it.",
            )
        yield
    finally:
        lock.release()

"""The lock that keeps a second download out of a model's folder. Held by the operating system, so a crash frees it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from wan22.errors import DownloadFailed
from wan22.models.download.manifest import OURS

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: FileIO) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(file: FileIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def only_one(target: Path) -> Iterator[None]:
    """Nobody else downloads into `target`, which is made, while the block runs. Raises DownloadFailed, or OSError.

    Two at a time would write into the same parts.
    """
    (target / OURS).mkdir(parents=True, exist_ok=True)
    with (target / OURS / "lock").open("ab", buffering=0) as file:
        if not _try_lock(file):
            raise DownloadFailed(
                f"Another process is downloading into {target}.", hint="Wait until it is done, or stop it."
            )
        yield

"""How a file comes to disk: written under a part name, synced, renamed. A file that has its name is whole.

Knows nothing of what is in the files.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from wan22.errors import DiskFull, ServerFault

logger = logging.getLogger(__name__)

PART = ".part"  # in the name of every file that is not whole yet
_FULL = {errno.ENOSPC, errno.EDQUOT}
_PAUSES_S = (0.02, 0.05, 0.1, 0.3, 0.5)


@contextlib.contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Maps the block's OSError to DiskFull or ServerFault; `what` begins the sentence, as "The video"."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"{what} could not be written: no space is left on the disk.") from error
        raise ServerFault(
            f"{what} could not be written: {error.strerror or type(error).__name__}.",
            hint="Check that the server's account may write to the folder set as storage.home.",
        ) from error


def publish(part: Path, final: Path) -> None:
    """Give a whole file its name, durably: synced, then renamed, then the folder synced. Replaces what has the name."""
    with part.open("rb+") as file:  # Windows syncs only what is open for writing
        os.fsync(file.fileno())
    _patiently(lambda: part.replace(final))
    _sync_folder(final.parent)


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it; a missing one is fine. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        _patiently(lambda: shutil.rmtree(folder))


def remove_file(path: Path) -> None:
    """Remove a file; a missing one is fine, and one that can't be removed is logged and left to the next sweep."""
    try:
        _patiently(lambda: path.unlink(missing_ok=True))
    except OSError as error:
        logger.warning("A part file could not be removed: %s", error, extra={"action": "media.part_left"})


def sweep_parts(folder: Path) -> int:
    """Remove every part file under `folder`, which a dead process left; gives their number."""
    parts = [path for path in folder.rglob(f"*{PART}*") if path.is_symlink() or path.is_file()]
    for path in parts:
        remove_file(path)
    return len(parts)


def sha256_of(path: Path) -> str:
    """The file's hash in hex, read a megabyte at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _patiently(act: Callable[[], object]) -> None:
    """Try for a second: Windows refuses while a player or a virus scanner has the file open."""
    for pause_s in _PAUSES_S:
        try:
            act()
            return
        except PermissionError:
            time.sleep(pause_s)
    act()


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders can't be opened there; NTFS journals the rename
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

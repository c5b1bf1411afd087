"""The lock that keeps a second server out of a data folder. Held by the operating system, so a crash frees it.

The lock file stays when the server ends: removing it would let two servers lock two files of one name.
"""

from __future__ import annotations

import os
import socket
import sys
from io import FileIO
from pathlib import Path

from wan22.errors import ConfigurationError

_LOCKED_BYTE = 1 << 30  # far behind the text: Windows lets nobody read a locked byte

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: FileIO) -> bool:
        file.seek(_LOCKED_BYTE)
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


class FolderLock:
    """Held from `acquire` to `release`; the file says who holds it."""

    def __init__(self, file: FileIO) -> None:
        self._file = file

    @classmethod
    def acquire(cls, path: Path) -> FolderLock:
        """Lock the file at `path`, made if need be. ConfigurationError, naming the holder, if somebody else has it."""
        file = path.open("a+b", buffering=0)
        if not _try_lock(file):
            with file:
                file.seek(0)
                holder = file.read(200).decode(errors="replace").strip() or "it does not say which"
            raise ConfigurationError(
                f"Another server ({holder}) is using {path.parent}. "
                "Stop it first, or give this one its own folder with WAN22_HOME."
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        return cls(file)

    def release(self) -> None:
        """Let the next server in; a second call does nothing."""
        self._file.close()

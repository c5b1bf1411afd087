"""A lock on a file that the operating system holds, so that a crash frees it. What it keeps others out of is theirs.

The file stays when the lock goes: removing it would let two processes lock two files of one name.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from io import FileIO
from pathlib import Path

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


class FileLock:
    """A lock on the file at `path`, which is made if need be, and says who holds it. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._file: FileIO = path.open("a+b", buffering=0)

    def take(self) -> bool:
        """Hold it until `release`; False if somebody else does."""
        if not _try_lock(self._file):
            return False
        with contextlib.suppress(OSError):  # a full disk: the lock holds without the words
            self._file.truncate(0)
            self._file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        return True

    def holder(self) -> str:
        """Who holds it, in words."""
        self._file.seek(0)
        return self._file.read(200).decode(errors="replace").strip() or "it does not say which"

    def release(self) -> None:
        """Let the next one in; a second call does nothing."""
        self._file.close()

"""The disk as this package uses it: free space, files opened for writing, small JSON records, and files that appear
whole. The one place where an OSError of our own folder becomes DiskFull or ServerFault.

Two of its verbs are a value, so that a test can bring a disk that is small.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from wan22.errors import DiskFull, ServerFault, WrongState

SPARE_BYTES = 200_000_000  # ours: a disk that a model fills to the last byte stops everything else on it
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_PAUSES_S = (0.05, 0.1, 0.2, 0.3, 0.35)  # a second in all


class RandomFile(Protocol):
    """What a part is written through: an unbuffered file."""

    def seek(self, offset: int, /) -> int:
        """Go to a byte."""

    def write(self, data: memoryview, /) -> int | None:
        """Write at least a byte of `data`, and tell how many."""

    def truncate(self, size: int, /) -> int:
        """Give up what is behind `size` bytes."""

    def fileno(self) -> int:
        """The operating system's number of it."""

    def close(self) -> None:
        """Give it up; a second call does nothing."""


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written under `folder`, which need not exist yet. Raises WrongState as `standing`."""
    return shutil.disk_usage(standing(folder)).free


def standing(folder: Path) -> Path:
    """`folder`, or the nearest folder above it that is there. Raises WrongState where its drive is not."""
    for path in (folder.absolute(), *folder.absolute().parents):
        with contextlib.suppress(OSError):  # a folder above that we may not look into
            if path.exists():
                return path
    raise WrongState(
        f"{folder.absolute().anchor} is not there, and {folder} is on it.",
        hint="Connect the drive, or correct the setting that names the folder, as models.models_dirs.",
    )


def has_room(missing_bytes: int, free_bytes: int) -> bool:
    """Whether a disk takes what is missing and keeps some space free; nothing fits any disk."""
    return missing_bytes == 0 or missing_bytes + SPARE_BYTES <= free_bytes


def no_room(
    what: str, target: Path, *, missing_bytes: int, free_bytes: int, hint: str, at_least: bool = False
) -> DiskFull:
    """The refusal of what has no room, with both figures; `at_least` where what is missing is not known to the byte."""
    needed = f"{'at least ' if at_least else ''}{missing_bytes:,} bytes more in {target} and {SPARE_BYTES:,} to spare"
    return DiskFull(f"{what} needs {needed}, and {free_bytes:,} bytes are free there.", hint=hint)


class Room(Protocol):
    """A plan that brings bytes into a folder."""

    @property
    def target(self) -> Path:
        """The folder."""

    @property
    def missing_bytes(self) -> int:
        """Bytes that it brings."""

    @property
    def free_bytes(self) -> int:
        """Bytes that are free there."""

    @property
    def fits(self) -> bool:
        """Whether the disk takes them and keeps some space free."""


def refuse_without_room(what: str, plan: Room, *, undone: str = "Nothing was fetched.") -> None:
    """Raises DiskFull with both figures where a plan for models does not fit."""
    if not plan.fits:
        raise no_room(
            what,
            plan.target,
            missing_bytes=plan.missing_bytes,
            free_bytes=plan.free_bytes,
            hint=f"{undone} Free space, or name a folder on another disk first in models.models_dirs.",
        )


def open_part(path: Path) -> RandomFile:
    """The file at `path`, made if need be, for writing anywhere in it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    return open(handle, "r+b", buffering=0)  # noqa: PTH123 - pathlib can't open without emptying or appending


@dataclass(frozen=True)
class Disk:
    """Where free space is asked for and parts are opened."""

    free_bytes: Callable[[Path], int] = free_bytes
    open_part: Callable[[Path], RandomFile] = open_part

    @contextlib.contextmanager
    def writing(self, path: Path, missing_bytes: int) -> Iterator[None]:
        """Maps the block's OSError: DiskFull with what is missing of `path` and what is free, else ServerFault."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise self.full(path, missing_bytes) from error
            taken = isinstance(error, (FileExistsError, NotADirectoryError, IsADirectoryError))
            cure = "Remove what stands in its place" if taken else "Check that the server's account may write there"
            raise ServerFault(
                f"{path} can't be written: {error.strerror or type(error).__name__}.",
                hint=f"{cure}, then start the download again.",
            ) from error

    def full(self, path: Path, missing_bytes: int) -> DiskFull:
        """The error that `missing_bytes` more don't fit beside `path`."""
        free = self.free_bytes(path.parent)
        return DiskFull(
            f"{path} needs {missing_bytes:,} bytes more, and {free:,} bytes are free on its disk.",
            hint="Free space, or move the models with models.models_dirs, and start the download again: "
            "what was fetched is kept.",
        )


def write_json(path: Path, content: Any) -> None:
    """Put `content` at `path` in one step, so that a reader finds the old record or the new one. Raises OSError."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(json.dumps(content), "utf-8")
    _patiently(lambda: beside.replace(path))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a record; empty where there is none, or a damaged one."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def publish(part: Path, final: Path) -> None:
    """Give a part that was synced its name; replaces what has it. Raises OSError."""
    _patiently(lambda: part.replace(final))
    if os.name == "nt":  # folders can't be opened there; NTFS journals the rename
        return
    handle = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _patiently(act: Callable[[], object]) -> None:
    """Try for a second: Windows refuses while a virus scanner has the file open."""
    for pause_s in _PAUSES_S:
        try:
            act()
            return
        except PermissionError:
            time.sleep(pause_s)
    act()

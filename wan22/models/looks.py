"""Looks at folders that may be anybody's: what the system does not let us look at, or what leads nowhere, is not there.

Path's own methods raise for some of that (no right to enter a folder, links in a circle, a null byte in a name).
"""

from __future__ import annotations

from pathlib import Path

_REFUSED = (OSError, ValueError, RuntimeError)  # the last: links in a circle, before Python 3.13


def is_dir(path: Path) -> bool:
    """Whether a folder is there."""
    try:
        return path.is_dir()
    except _REFUSED:
        return False


def is_file(path: Path) -> bool:
    """Whether a file is there."""
    try:
        return path.is_file()
    except _REFUSED:
        return False


def exists(path: Path) -> bool:
    """Whether anything is there."""
    try:
        return path.exists()
    except _REFUSED:
        return False


def entries(folder: Path) -> list[Path]:
    """What is in a folder, sorted."""
    try:
        return sorted(folder.iterdir())
    except _REFUSED:
        return []


def refusal(folder: Path) -> str | None:
    """Why the system does not list a folder, in its words; None where it does, and where there is no such folder."""
    try:
        next(folder.iterdir(), None)
    except FileNotFoundError:
        return None
    except _REFUSED as error:
        return getattr(error, "strerror", None) or type(error).__name__
    return None


def real(path: Path) -> Path | None:
    """Where a path leads, with all links followed; None if nowhere."""
    try:
        return path.resolve()
    except _REFUSED:
        return None

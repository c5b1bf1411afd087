"""Fetches an output so that a file which has its name is whole: streamed beside it, checked, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

from wan22.errors import ServerFault


def save(chunks: Iterable[bytes], path: Path, *, sha256: str) -> None:
    """Write `chunks` to `path` by way of `<path>.part`; an older file of that name is replaced.

    Raises ServerFault if what came has not the given sha256 (hex) or the disk refuses; then nothing is left behind.
    """
    part = path.with_name(f"{path.name}.part")
    digest = hashlib.sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != sha256:
            raise ServerFault(f"What arrived for {path} is not what the server sent.", hint="Download it again.")
        part.replace(path)
    except OSError as error:
        raise ServerFault(
            f"{path} can't be written: {error}.", hint="Free space, or choose a folder you may write to."
        ) from error
    finally:
        with contextlib.suppress(OSError):  # where it could not be written there is nothing to remove
            part.unlink(missing_ok=True)

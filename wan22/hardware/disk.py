"""Free space of the disk that a folder is on, or will be."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_bytes(folder: Path) -> int:
    """Bytes that we may still write under `folder`, which need not exist yet. Raises OSError if its disk is gone."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free

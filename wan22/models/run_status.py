"""How a download or a verification stands, as a frozen value, and what an event says of it. `downloads` runs them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from wan22.models.download import DownloadProgress
from wan22.models.specs import OFFICIAL
from wan22.models.verification import WrongFile
from wan22.tasks import Failure, ModelType

Kind = Literal["download", "verify"]
State = Literal["running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class RunStatus:
    """How the last run of a model stands. A verification that mends is a download from its first fetched byte on."""

    model_type: ModelType
    kind: Kind
    state: State
    repository: str | None  # None: of what no download fetches
    target: Path
    progress: DownloadProgress
    started_at: datetime
    ended_at: datetime | None = None
    cancel_requested: bool = False
    wrong: tuple[WrongFile, ...] = ()  # found by a verification, mended or not
    error: Failure | None = None
    variant: str = OFFICIAL


def event_of(status: RunStatus) -> dict[str, Any]:
    """What an event says of a run: enough for a bar. The files are in the status."""
    progress = status.progress
    return {
        "model_type": status.model_type.value,
        "variant": status.variant,
        "kind": status.kind,
        "state": status.state,
        "progress": share_of(progress),
        "done_bytes": progress.done_bytes,
        "size_bytes": progress.size_bytes,
        "bytes_per_s": progress.bytes_per_s,
        "eta_s": progress.eta_s,
        "files_done": sum(file.state == "done" for file in progress.files),
        "files": len(progress.files),
        "error": status.error.model_dump(mode="json") if status.error else None,
    }


def share_of(progress: DownloadProgress) -> float:
    """How much of all bytes is there, 0 to 1."""
    return progress.done_bytes / progress.size_bytes if progress.size_bytes else 1.0

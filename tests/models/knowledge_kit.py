"""What the tests of what is known of models share: runs and histories, each figure of which a test may change."""

from __future__ import annotations

from typing import Any

from models_kit import T2V
from support.samples import NOON

from wan22.models.catalogue import SPECS
from wan22.models.comparison import Side
from wan22.models.history import History, history_of
from wan22.tasks import ModelType, Run, Status


def run(**changes: Any) -> Run:
    """A completed task of the real weights on a GPU: ten steps of two seconds."""
    fields: dict[str, Any] = {
        "task_id": "t",
        "status": Status.COMPLETED,
        "variant": "dev",
        "device": "cuda:0",
        "mode": "video",
        "width": 1280,
        "height": 720,
        "num_frames": 16,
        "num_videos": 1,
        "guidance_scale": 4.0,
        "total_steps": 10,
        "denoise_s": 20.0,
        "total_s": 30.0,
        "peak_vram_bytes": 9_000_000_000,
        "finished_at": NOON,
    }
    return Run(**{**fields, **changes})


def history(*runs: Run, variant: str | None = "dev", device: str | None = "cuda:0") -> History:
    """With these weights on this device."""
    return history_of(runs, variant, device)


def side(model_type: ModelType = T2V, *runs: Run, variant: str = "dev") -> Side:
    """One side of a comparison."""
    return Side(SPECS[model_type], history(*runs, variant=variant))

"""Small valid values of `wan22.tasks`, each field of which a test may change."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from uuid6 import uuid7

from wan22.tasks import Artifact, Failure, ModelType, Parts, Plan, Render, Request, Status, Task

NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


def request(**changes: Any) -> Request:
    """Sixteen frames of a cat."""
    fields: dict[str, Any] = {
        "model_type": ModelType.T2V_A14B,
        "mode": "video",
        "prompt": "a cat",
        "negative_prompt": "",
        "width": 64,
        "height": 48,
        "num_frames": 16,
        "fps": 16,
        "steps": 4,
        "guidance_scale": 4.0,
        "guidance_scale_2": 3.0,
        "flow_shift": 5.0,
        "seed": 1,
        "output_format": "mp4",
        "quality": "medium",
    }
    return Request(**{**fields, **changes})


def plan(**changes: Any) -> Plan:
    """How that is rendered with the demo weights on the CPU."""
    render = Render(
        width=64,
        height=48,
        num_frames=17,
        keep=tuple(range(16)),
        crop_width=64,
        crop_height=48,
        output_width=64,
        output_height=48,
        summary="17 frames of 64x48, the last one dropped.",
    )
    fields: dict[str, Any] = {
        "variant": "demo",
        "model_files": "t2v-A14B/demo",
        "device": "cpu",
        "precision": {"transformer": "fp32"},
        "offload": "none",
        "render": render,
    }
    return Plan(**{**fields, **changes})


def task(*, status: Status = Status.QUEUED, priority: int = 0, **changes: Any) -> Task:
    """A new task, or one that says it is in another status."""
    fields: dict[str, Any] = {
        "task_id": str(uuid7()),
        "request": request(priority=priority),
        "plan": plan(),
        "created_at": NOON,
    }
    return Task(**{**fields, "status": status, **changes})


def artifact(index: int = 0) -> Artifact:
    """What a run of that task leaves."""
    return Artifact(
        index=index,
        file_name=f"{index}.mp4",
        thumbnail_name=f"{index}.thumb.jpg",
        format="mp4",
        width=64,
        height=48,
        num_frames=16,
        fps=16,
        duration_s=1.0,
        size_bytes=1000,
        sha256="0" * 64,
        seed=1 + index,
    )


WORK = Parts(denoise=1.0, decode=1.0, encode=1.0, rest=1.0)
FAILURE = Failure(code="out_of_memory", title="Out of memory", detail="The GPU is full.", hint="Ask for less.")

"""The two requests of the capabilities report, sent byte for byte as PowerShell does, give the videos they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from support.server import wait
from support.videos import probe_video

BASIC = (
    b'{\r\n    "fps":  24,\r\n    "prompt":  "A cat walking in a garden, cinematic lighting",\r\n    "num_frames":  16,'
    b'\r\n    "model_type":  "T2V-A14B",\r\n    "width":  1280,\r\n    "height":  720\r\n}'
)
ENHANCED = (
    b'{\r\n    "resolution":  "1920x1080",\r\n    "enable_optimization":  true,\r\n    "steps":  50,'
    b'\r\n    "prompt":  "Sunset over mountains, time-lapse",\r\n    "model_type":  "T2V-A14B"\r\n}'
)


def send(client: httpx.Client, path: str, body: bytes) -> dict[str, Any]:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 202, answer.text
    return wait(client, answer.json()["task_id"])


@pytest.mark.parametrize(
    ("path", "body", "size", "fps"),
    [
        ("/api/v1/generation/submit", BASIC, (1280, 720), 24),
        ("/api/v1/generation/enhanced/submit", ENHANCED, (1920, 1080), 16),
    ],
    ids=["basic", "enhanced"],
)
def test_the_reports_bodies_give_playable_videos_of_exactly_what_they_ask_for(
    client: httpx.Client,
    tmp_path: Path,
    path: str,
    body: bytes,
    size: tuple[int, int],
    fps: int,
) -> None:
    task = send(client, path, body)
    assert task["status"] == "completed", task["error"]
    output = task["outputs"][0]
    file = tmp_path / "video.mp4"
    file.write_bytes(client.get(output["url"]).raise_for_status().content)
    assert probe_video(file) == (*size, 16, fps)
    assert task["plan"]["variant"] == "demo"
    assert "enlarged" in task["plan"]["render"]["summary"]

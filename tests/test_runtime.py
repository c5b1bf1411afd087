"""The composition root: everything fits together, work that waits is carried out, a second server is refused."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.videos import probe_video

from wan22.errors import ConfigurationError
from wan22.runtime import Runtime
from wan22.settings import load_settings
from wan22.testing import Painter

BODY = {"model_type": "TI2V-5B", "prompt": "a cat", "width": 66, "height": 64, "num_frames": 6, "steps": 3}


def painted(home: Path) -> Runtime:
    settings = load_settings(storage={"home": home, "min_free_bytes": 0})
    return Runtime(settings, painter=Painter)


def ended(client: TestClient, task_id: str) -> dict[str, Any]:
    for _ in range(500):
        task: dict[str, Any] = client.get(f"/api/v1/generation/{task_id}").json()
        if task["status"] not in ("queued", "running"):
            return task
        time.sleep(0.02)
    raise AssertionError(task)


def test_a_request_becomes_a_file(tmp_path: Path) -> None:
    runtime = painted(tmp_path)
    with TestClient(runtime.app, base_url="http://127.0.0.1") as client:
        task = ended(client, client.post("/api/v1/generation/submit", json=BODY).json()["task_id"])
    assert task["status"] == "completed", task["error"]
    assert probe_video(runtime.outputs.path(task["task_id"], "0.mp4")) == (66, 64, 6, 24)
    runtime.close()


def test_what_waits_when_the_server_stops_is_done_by_the_next_one(tmp_path: Path) -> None:
    first = painted(tmp_path)
    client = TestClient(first.app, base_url="http://127.0.0.1")  # without its lifespan: no worker
    task_id = client.post("/api/v1/generation/submit", json=BODY).json()["task_id"]
    first.close()
    second = painted(tmp_path)
    with TestClient(second.app, base_url="http://127.0.0.1") as client:
        assert ended(client, task_id)["status"] == "completed"
    second.close()


def test_one_server_for_each_folder(tmp_path: Path) -> None:
    runtime = painted(tmp_path)
    with pytest.raises(ConfigurationError):
        painted(tmp_path)
    runtime.close()
    painted(tmp_path).close()

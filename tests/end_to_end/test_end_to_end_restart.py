"""The whole server killed in the middle of a run: what was accepted is carried out by the next one."""

from __future__ import annotations

import time
from pathlib import Path

from support.server import process, wait

BODY: dict[str, object] = {
    "model_type": "T2V-A14B",
    "prompt": "a cat",
    "width": 64,
    "height": 64,
    "num_frames": 5,
    "steps": 200,
}
BODY["enable_optimization"] = False  # so that they run one after the other


def test_a_killed_server_loses_nothing(tmp_path: Path) -> None:
    with process(tmp_path) as (server, client):
        ids = [client.post("/api/v1/generation/submit", json=BODY).json()["task_id"] for _ in range(3)]
        while not client.get(f"/api/v1/generation/{ids[0]}").json()["step"]:
            time.sleep(0.02)
        server.kill()
        server.wait()
    assert not [path for path in (tmp_path / "outputs").rglob("*.mp4") if ".part" not in path.name]
    with process(tmp_path) as (_, client):
        tasks = [wait(client, task_id) for task_id in ids]
    assert [task["status"] for task in tasks] == ["completed"] * 3
    assert [task["attempts"] for task in tasks] == [2, 1, 1]
    assert not list((tmp_path / "outputs").rglob("*.part*"))

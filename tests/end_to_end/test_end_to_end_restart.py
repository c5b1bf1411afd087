"""The whole server killed in the middle of a run: what was accepted is carried out by the next one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from support.server import wait

BODY = {"model_type": "T2V-A14B", "prompt": "a cat", "width": 64, "height": 64, "num_frames": 5, "steps": 200}


@contextmanager
def process(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """`wan22 serve` as a person starts it, and a client of it."""
    (home / "server.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "wan22", "serve", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            with httpx.Client(base_url=address(home), timeout=30) as client:
                yield server, client
        finally:
            server.terminate()


def address(home: Path) -> str:
    """Where the server says that it listens, once it does."""
    for _ in range(600):
        try:
            url: str = json.loads((home / "server.json").read_text("utf-8"))["url"]
            httpx.get(f"{url}/health").raise_for_status()
        except (OSError, ValueError, httpx.HTTPError):
            time.sleep(0.1)
        else:
            return url
    raise AssertionError("the server did not start")


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

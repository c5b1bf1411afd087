"""A real server in a thread or a process, and waiting for its tasks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from wan22.runtime import Runtime
from wan22.settings import load_settings


@contextmanager
def serving(home: Path, **settings: Any) -> Iterator[str]:
    """Serve a Runtime from a thread until the block ends; gives its address."""
    runtime = Runtime(load_settings(storage={"home": home, "min_free_bytes": 0}, **settings))
    server = uvicorn.Server(uvicorn.Config(runtime.app, port=0, log_level="warning", timeout_graceful_shutdown=3))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        runtime.close()


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


def wait(client: httpx.Client, task_id: str, *, timeout_s: float = 240) -> dict[str, Any]:
    """The task once it has ended."""
    for _ in range(int(timeout_s / 0.1)):
        task: dict[str, Any] = client.get(f"/api/v1/generation/{task_id}").raise_for_status().json()
        if task["status"] in ("completed", "failed", "cancelled"):
            return task
        time.sleep(0.1)
    raise AssertionError(f"still {task['status']} in phase {task['phase']} after {timeout_s} s")

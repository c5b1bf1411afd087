"""A real server in a thread, and waiting for its tasks."""

from __future__ import annotations

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


def wait(client: httpx.Client, task_id: str, *, timeout_s: float = 240) -> dict[str, Any]:
    """The task once it has ended."""
    for _ in range(int(timeout_s / 0.1)):
        task: dict[str, Any] = client.get(f"/api/v1/generation/{task_id}").raise_for_status().json()
        if task["status"] in ("completed", "failed", "cancelled"):
            return task
        time.sleep(0.1)
    raise AssertionError(f"still {task['status']} in phase {task['phase']} after {timeout_s} s")

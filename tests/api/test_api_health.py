"""Liveness answers whatever else is stuck; readiness says which component has failed and what to do."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from api_kit import NOBODY, TASKS, URL, open_services, settings_for
from starlette.testclient import TestClient

from wan22.api.app import create_app
from wan22.api.handlers import health
from wan22.errors import NotFound, StoreError


def test_liveness_says_little(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.head("/health").status_code == 200


def test_readiness_shows_every_component(client: TestClient) -> None:
    answer = client.get("/v2/health")
    shown = answer.json()
    assert (answer.status_code, shown["status"], shown["version"]) == (200, "ok", "0.0.1")
    assert set(shown["components"]) == {"store", "worker", "disk", "ffmpeg", "models", "device"}
    assert all(check["detail"] for check in shown["components"].values())


def test_readiness_tells_the_variant_of_each_model_and_why(client: TestClient) -> None:
    models = client.get("/v2/health").json()["components"]["models"]["facts"]
    assert set(models) == {"T2V-A14B", "I2V-A14B", "TI2V-5B"}
    assert all(model["variant"] == "demo" and model["why"] for model in models.values())


def failing(home: Path, closing: ExitStack, **changes: Any) -> dict[str, Any]:
    """The components that fail where the services are so changed."""
    rooms = changes.pop("rooms", {})
    services = open_services(settings_for(home, **rooms), closing, **changes)
    answer = TestClient(create_app(services), base_url=URL).get("/v2/health")
    shown = answer.json()
    assert (answer.status_code, shown["status"]) == (503, "unavailable")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    return {name: check["detail"] for name, check in shown["components"].items() if check["status"] == "failed"}


def test_a_worker_that_has_stopped_is_told(tmp_path: Path, closing: ExitStack) -> None:
    assert "restart" in failing(tmp_path, closing, worker_alive=lambda: False)["worker"]


def test_a_disk_that_is_full_is_told(tmp_path: Path, closing: ExitStack) -> None:
    found = failing(tmp_path, closing, rooms={"storage": {"min_free_bytes": 2**62}})
    assert set(found) == {"disk"}


def test_a_server_without_any_weights_is_told(tmp_path: Path, closing: ExitStack) -> None:
    assert set(failing(tmp_path, closing, rooms={"models": {"variant": "dev"}})) == {"models"}


def test_a_device_that_is_not_there_is_told(tmp_path: Path, closing: ExitStack) -> None:
    assert set(failing(tmp_path, closing, rooms={"device": {"device": "cuda:3"}})) == {"device"}


@pytest.mark.parametrize("error", [StoreError("The disk is gone."), OSError("The disk is gone.")])
def test_a_component_that_fails_is_told_in_its_own_words(tmp_path: Path, closing: ExitStack, error: Exception) -> None:
    def fail() -> bool:
        raise error

    assert "The disk is gone." in failing(tmp_path, closing, worker_alive=fail)["worker"]


def test_a_component_that_does_not_answer_is_told(tmp_path: Path, closing: ExitStack) -> None:
    waiting = threading.Event()
    closing.callback(waiting.set)
    assert f"{health.PATIENCE_S:g} s" in failing(tmp_path, closing, worker_alive=waiting.wait)["worker"]


class StuckQueue:
    """A queue whose store does not answer until it is released."""

    def __init__(self) -> None:
        self._released = threading.Semaphore(0)

    def get(self, task_id: str) -> None:
        self._released.acquire()
        raise NotFound(f"There is no task {task_id}.")

    def release(self, calls: int) -> None:
        self._released.release(calls)


def test_liveness_answers_while_every_thread_is_stuck(tmp_path: Path, closing: ExitStack) -> None:
    stuck = StuckQueue()
    app = create_app(open_services(settings_for(tmp_path), closing, queue=stuck))
    client = closing.enter_context(TestClient(app, base_url=URL))
    calls = [threading.Thread(target=client.get, args=(f"{TASKS}/{NOBODY}",)) for _ in range(40)]
    for call in calls:
        call.start()
    assert client.get("/health").status_code == 200
    stuck.release(len(calls))
    for call in calls:
        call.join()

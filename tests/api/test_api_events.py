"""Server-Sent Events of one task: everything that happened, then what happens, to its end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from api_kit import TASKS, complete, submitted
from fastapi import FastAPI
from starlette.testclient import TestClient

from wan22.api.services import Services


def messages(text: str) -> list[dict[str, str]]:
    """The fields of each message of a stream, comments left out."""
    blocks = [block for block in text.replace("\r\n", "\n").split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


@pytest.fixture
def ended(client: TestClient, services: Services) -> str:
    """The events' path of a task that has ended."""
    submitted(client)
    return f"{TASKS}/{complete(services)}/events"


def test_an_ended_task_is_told_from_the_beginning(client: TestClient, ended: str) -> None:
    answer = client.get(ended)
    told = messages(answer.text)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    assert [one["event"] for one in told] == ["task.queued", "task.started", "task.completed"]


def test_a_message_says_what_its_frame_says(client: TestClient, ended: str) -> None:
    one = messages(client.get(ended).text)[0]
    data = json.loads(one["data"])
    assert set(data) == {"id", "type", "task_id", "at", "data"}
    assert (str(data["id"]), data["type"]) == (one["id"], one["event"])
    assert data["task_id"] == ended.split("/")[4]
    assert data["at"].endswith("Z")


def test_a_reader_goes_on_after_the_last_event_it_has_seen(client: TestClient, ended: str) -> None:
    told = messages(client.get(ended).text)
    rest = messages(client.get(ended, headers={"Last-Event-ID": told[0]["id"]}).text)
    assert rest == told[1:]


def test_a_reader_that_has_seen_the_end_is_told_not_to_come_back(client: TestClient, ended: str) -> None:
    last = messages(client.get(ended).text)[-1]
    answer = client.get(ended, headers={"Last-Event-ID": last["id"]})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 19, "9" * 400, "٣".encode()])
def test_an_id_that_is_none_is_told(client: TestClient, ended: str, last: str | bytes) -> None:
    answer = client.get(ended, headers={"Last-Event-ID": last})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Last-Event-ID"


@pytest.fixture
def live(app: FastAPI) -> Iterator[httpx.Client]:
    """A client of the app behind a real server; the test client can't follow a stream while it grows."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
        yield client
    server.should_exit = True
    thread.join()


def follow(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """The data of each message as it comes."""
    for line in response.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line[6:])


def test_a_running_task_is_followed_to_its_end(live: httpx.Client, services: Services) -> None:
    body = {"model_type": "T2V-A14B", "prompt": "a cat"}
    task_id = live.post(f"{TASKS}/submit", json=body).json()["task_id"]
    with live.stream("GET", f"{TASKS}/{task_id}/events") as response:
        told = follow(response)
        assert next(told)["type"] == "task.queued"
        complete(services)
        types = [message["type"] for message in told]
    assert types[0] == "task.started"
    assert types[-1] == "task.completed"


def test_a_cancelled_task_ends_its_stream(live: httpx.Client) -> None:
    body = {"model_type": "T2V-A14B", "prompt": "a cat"}
    task_id = live.post(f"{TASKS}/submit", json=body).json()["task_id"]
    with live.stream("GET", f"{TASKS}/{task_id}/events") as response:
        told = follow(response)
        next(told)
        assert live.delete(f"{TASKS}/{task_id}").status_code == 204
        assert [message["type"] for message in told] == ["task.cancelled"]


def test_a_reader_that_leaves_harms_nobody(live: httpx.Client, services: Services) -> None:
    body = {"model_type": "T2V-A14B", "prompt": "a cat"}
    task_id = live.post(f"{TASKS}/submit", json=body).json()["task_id"]
    with live.stream("GET", f"{TASKS}/{task_id}/events") as response:
        next(follow(response))
    assert live.get("/health").status_code == 200
    assert live.get(f"{TASKS}/{task_id}").json()["status"] == "queued"

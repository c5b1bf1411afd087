"""The WebSocket: events of one task or all, replay, and what a client may say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from api_kit import NOBODY, TASKS, complete, submitted
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from wan22.api.services import Services

WS = "ws://127.0.0.1:8000/api/v1/ws"


@contextmanager
def connected(client: TestClient, query: str = "") -> Iterator[WebSocketTestSession]:
    """A socket that is surely subscribed: a pong has come."""
    with client.websocket_connect(WS + query) as socket:
        socket.send_text('{"type": "ping"}')
        assert socket.receive_json() == {"type": "pong"}
        yield socket


def said(client: TestClient, message: str | bytes) -> dict[str, Any]:
    """What the server says to one message; the socket still lives after it."""
    with connected(client) as socket:
        socket.send_text(message) if isinstance(message, str) else socket.send_bytes(message)
        answer: dict[str, Any] = socket.receive_json()
        socket.send_text('{"type": "ping"}')
        assert socket.receive_json() == {"type": "pong"}
        return answer


def test_all_tasks_are_told(client: TestClient) -> None:
    with connected(client) as socket:
        first, second = submitted(client), submitted(client)
        told = [socket.receive_json() for _ in range(2)]
    assert [(one["type"], one["task_id"]) for one in told] == [("task.queued", first), ("task.queued", second)]
    assert all(set(one) == {"id", "type", "task_id", "at", "data"} for one in told)
    assert told[0]["id"] < told[1]["id"]
    assert told[0]["at"].endswith("Z")


def test_one_task_is_told_alone(client: TestClient, services: Services) -> None:
    task_id = submitted(client)
    with connected(client, f"?task_id={task_id}") as socket:
        submitted(client)
        complete(services)
        assert {socket.receive_json()["task_id"] for _ in range(2)} == {task_id}


def test_after_replays_what_was_missed(client: TestClient) -> None:
    with connected(client) as socket:
        submitted(client)
        seen = socket.receive_json()["id"]
    missed = [submitted(client) for _ in range(3)]
    with connected_after(client, seen) as socket:
        assert [socket.receive_json()["task_id"] for _ in range(3)] == missed


@contextmanager
def connected_after(client: TestClient, event_id: int) -> Iterator[WebSocketTestSession]:
    with client.websocket_connect(f"{WS}?after={event_id}") as socket:
        yield socket


def test_a_task_can_be_cancelled(client: TestClient) -> None:
    task_id = submitted(client)
    with connected(client) as socket:
        socket.send_json({"type": "cancel", "task_id": task_id})
        told = {message["type"]: message for message in (socket.receive_json(), socket.receive_json())}
    assert told["cancel"] == {"type": "cancel", "task_id": task_id, "status": "cancelled"}
    assert told["task.cancelled"]["task_id"] == task_id
    assert client.get(f"{TASKS}/{task_id}").json()["status"] == "cancelled"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"type": "dance"}', "bad_request"),
        ("{}", "bad_request"),
        ("[]", "bad_request"),
        ("null", "bad_request"),
        ("not json", "bad_request"),
        ("", "bad_request"),
        ("[" * 4_000, "bad_request"),
        (b"\xff\xfe", "bad_request"),
        ('{"type": ["ping"]}', "bad_request"),
        ('{"type": "cancel"}', "invalid_request"),
        ('{"type": "cancel", "task_id": 7}', "invalid_request"),
        ('{"type": "cancel", "task_id": "../x"}', "not_found"),
        ('{"type": "cancel", "task_id": "\\ud800\\u0000"}', "not_found"),
        (json.dumps({"type": "cancel", "task_id": NOBODY}), "not_found"),
    ],
)
def test_a_message_that_is_not_understood_is_answered_and_the_socket_lives(
    client: TestClient, message: str | bytes, code: str
) -> None:
    answer = said(client, message)
    assert (answer["type"], answer["code"]) == ("error", code)
    assert answer["detail"]


def test_cancelling_an_ended_task_is_an_error(client: TestClient, services: Services) -> None:
    submitted(client)
    task_id = complete(services)
    assert said(client, json.dumps({"type": "cancel", "task_id": task_id}))["code"] == "wrong_state"


def closed_with(client: TestClient, query: str, message: str | None = None) -> WebSocketDisconnect:
    """How the server ends a socket."""
    with client.websocket_connect(WS + query) as socket:
        if message is not None:
            socket.send_text(message)
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_text()
    return caught.value


@pytest.mark.parametrize("task_id", [NOBODY, "x", "%00", "a" * 2_000, "%F0%9F%98%80" * 50])
def test_an_unknown_task_closes_the_socket_and_says_why(client: TestClient, task_id: str) -> None:
    end = closed_with(client, f"?task_id={task_id}")
    assert end.code == 4404
    assert "task" in (end.reason or "")
    assert len((end.reason or "").encode()) <= 123


@pytest.mark.parametrize("after", ["x", "-1", "9" * 30, "1.5"])
def test_an_event_id_that_is_none_closes_the_socket(client: TestClient, after: str) -> None:
    assert closed_with(client, f"?after={after}").code == 4400


@pytest.mark.parametrize("query", ["?taskid=x", "?after=1&untill=2"])
def test_an_unknown_parameter_closes_the_socket(client: TestClient, query: str) -> None:
    end = closed_with(client, query)
    assert end.code == 4400
    assert "is unknown" in (end.reason or "")


def test_a_task_may_be_named_in_capitals(client: TestClient) -> None:
    task_id = submitted(client)
    with connected(client, f"?task_id={task_id.upper()}") as socket:
        socket.send_json({"type": "cancel", "task_id": task_id.upper()})
        assert {socket.receive_json()["type"] for _ in range(2)} == {"cancel", "task.cancelled"}


def test_a_message_that_is_too_long_closes_the_socket(client: TestClient) -> None:
    assert closed_with(client, "", "x" * 5_000).code == 1009


def test_an_id_from_the_future_is_as_good_as_now(client: TestClient) -> None:
    with connected(client, f"?after={2**62}") as socket:
        task_id = submitted(client)
        assert socket.receive_json()["task_id"] == task_id

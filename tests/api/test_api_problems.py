"""Every error of ours has a status, and every error of the server is a problem that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_kit import SUBMIT, TASKS, URL, submitted
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from wan22 import errors
from wan22.api.problems import FRAMEWORK, STATUS, answer, framework_problem, problem_of
from wan22.errors import FieldError, InvalidRequest, QueueFull, Wan22Error


def tree(root: type[Wan22Error]) -> Iterator[type[Wan22Error]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def test_every_class_of_error_has_its_own_status() -> None:
    ours = {kind for kind in tree(Wan22Error) if kind.__module__ == errors.__name__}
    assert ours == set(STATUS)


def test_what_the_caller_can_cure_is_a_4xx_and_the_rest_is_a_5xx() -> None:
    for kind, status in STATUS.items():
        if issubclass(kind, errors.RequestError):
            assert 400 <= status < 500, kind
        if issubclass(kind, errors.ServerFault):
            assert 500 <= status < 600, kind


def test_codes_are_different_words() -> None:
    assert len({kind.code for kind in STATUS}) == len(STATUS)


def test_a_problem_has_every_field() -> None:
    error = InvalidRequest([FieldError("steps", "must be at least 1", 0)], hint="Ask for more.")
    problem = problem_of(error, "/api/v1/generation/submit")
    assert problem.model_dump() == {
        "detail": "steps: must be at least 1",
        "hint": "Ask for more.",
        "code": "invalid_request",
        "title": "The request has wrong fields",
        "status": 422,
        "type": "urn:wan22:problem:invalid_request",
        "instance": "/api/v1/generation/submit",
        "errors": [{"field": "steps", "message": "must be at least 1", "value": 0}],
    }


def test_every_class_of_error_has_a_hint_of_its_own_or_of_its_kind() -> None:
    assert all(kind.default_hint for kind in STATUS)
    assert all(hint for *_, hint in FRAMEWORK.values())
    assert all(framework_problem(status, "/").hint for status in (400, 418, 500, 503))


def test_several_wrong_fields_are_one_sentence() -> None:
    error = InvalidRequest([FieldError("width", "is odd: send 854."), FieldError("height", "is odd: send 480.")])
    assert error.detail == "width: is odd: send 854; height: is odd: send 480."


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * 1_000, "x" * 79 + "…"),
        ({"a": 1}, "an object with 1 fields"),
        ([1, 2], "a list of 2"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (10**400, "a very large number"),
        (True, True),
        (None, None),
        (0.5, 0.5),
    ],
)
def test_what_was_sent_is_shown_short_and_as_json(value: object, shown: object) -> None:
    problem = problem_of(InvalidRequest.of("field", "is wrong", value))
    assert problem.errors[0].value == shown


def test_text_that_is_no_text_can_still_be_shown() -> None:
    body = answer(InvalidRequest.of("\ud800", "is wrong", "\udfff")).body
    assert bytes(body).decode().count("?") >= 2


def test_a_full_queue_says_when_to_come_again_and_never_too_late() -> None:
    assert answer(QueueFull("full", retry_after_s=7)).headers["Retry-After"] == "7"
    assert answer(QueueFull("full", retry_after_s=9_999)).headers["Retry-After"] == "120"
    assert answer(QueueFull("full", retry_after_s=0)).headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "not_found"),
        ("GET", "/health/", 404, "not_found"),
        ("GET", "/docs/assets/../../secret", 404, "not_found"),
        ("DELETE", "/health", 405, "method_not_allowed"),
        ("POST", TASKS, 405, "method_not_allowed"),
        ("BREW", "/health", 405, "method_not_allowed"),
        ("GET", "/api/v1/ws", 426, "upgrade_required"),
        ("GET", f"{TASKS}?limit=0", 422, "invalid_request"),
        ("POST", SUBMIT, 400, "malformed_body"),
    ],
)
def test_the_frameworks_errors_are_problems(client: TestClient, method: str, path: str, status: int, code: str) -> None:
    answer = client.request(method, path)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert answer.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    assert problem["detail"]
    assert problem["hint"]
    assert problem["instance"] == path.partition("?")[0].replace("/docs/assets/../../", "/")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/health", "GET, HEAD"),
        (f"{TASKS}/x", "DELETE, GET"),
        (f"{TASKS}/x/outputs/0", "GET, HEAD"),
        (f"{TASKS}/x/cancel", "POST"),
        ("/api/v1/ws", "GET, HEAD"),
    ],
)
def test_405_names_every_method_of_the_path(client: TestClient, path: str, allowed: str) -> None:
    assert client.put(path).headers["Allow"] == allowed


def test_a_websocket_says_over_plain_http_that_it_is_one(client: TestClient) -> None:
    answer = client.get("/api/v1/ws")
    assert answer.headers["Upgrade"] == "websocket"
    assert "ws://" in answer.json()["hint"]


def test_an_unforeseen_error_is_told_without_its_trace(app: FastAPI, tmp_path: Path) -> None:
    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret at /home/me")

    answer = TestClient(app, base_url=URL, raise_server_exceptions=False).get("/broken")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(("kind", "traced"), [(errors.DownloadFailed, False), (errors.StoreError, True)])
def test_the_log_has_the_trace_of_a_fault_here_and_none_of_a_hub_that_is_away(
    kind: type[Wan22Error], traced: bool, caplog: pytest.LogCaptureFixture
) -> None:
    error = kind("It did not work.")
    error.__cause__ = OSError("no route")
    answer(error)
    assert [bool(record.exc_info and record.exc_info[0]) for record in caplog.records] == [traced]


@pytest.mark.parametrize("status", [400, 413, 418, 503])
def test_any_status_that_a_route_may_raise_is_a_problem(app: FastAPI, status: int) -> None:
    @app.get("/odd")
    async def odd() -> None:
        raise HTTPException(status)

    answer = TestClient(app, base_url=URL).get("/odd")
    assert answer.json()["status"] == answer.status_code == status


def test_a_misspelt_parameter_is_told(client: TestClient) -> None:
    problem = client.get(f"{TASKS}?statsu=queued&limt=3").json()
    assert {item["field"]: item["message"] for item in problem["errors"]} == {
        "statsu": 'is unknown; did you mean "status"?',
        "limt": 'is unknown; did you mean "limit"?',
    }


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/outputs/0?downlaod=1", 'did you mean "download"?'),
        ("/outputs/0?zzz=1", "the known ones are download"),
        ("/outputs/0/thumbnail?download=1", "there are none here"),
        ("/events?after=1", "there are none here"),
    ],
)
def test_an_unknown_parameter_is_refused_wherever_a_task_is_read(client: TestClient, path: str, message: str) -> None:
    answer = client.get(f"{TASKS}/{submitted(client)}{path}")
    assert answer.status_code == 422
    assert message in answer.json()["detail"]


def test_path_in_a_problem_is_a_legal_reference(client: TestClient) -> None:
    assert client.get("/ни%00чего").json()["instance"].isascii()

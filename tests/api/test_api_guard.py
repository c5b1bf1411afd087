"""The guard stands in front of every route that the app has, HTTP and WebSocket, today's and tomorrow's."""

from __future__ import annotations

import itertools
import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import uvicorn
from api_kit import NOBODY, SUBMIT, TASKS, URL, open_services, settings_for, submitted
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from wan22.api.app import create_app
from wan22.api.services import Services
from wan22.api.trust import PAGES
from wan22.dashboard.pages import add_pages

STUDIO = "https://studio.example"
FOREIGN: list[dict[str, str]] = [
    {"Origin": "http://evil.com"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1.evil.com:8000"},
    {"Origin": "http://127.0.0.1:8001"},
    {"Host": "evil.com"},
    {"Host": "127.0.0.1.evil.com:8000"},
    {"Host": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://evil.com", "Host": "evil.com", "Sec-Fetch-Site": "same-origin"},
]
OURS: list[dict[str, str]] = [{}, {"Origin": URL, "Sec-Fetch-Site": "same-origin"}, {"Host": "localhost:9"}]


def routes(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of each route, parameters filled in; the method of a WebSocket is empty."""
    found = set()
    for route in iter_route_contexts(app.routes):
        path = (route.path or "").replace("{task_id}", NOBODY).replace("{n}", "0").replace("{name}", "x")
        path = re.sub(r"\{(model_type|model_a|model_b|alert_id)\}", "X", path)
        assert "{" not in path, f"{path}: say here what stands for the new parameter"
        found |= set(itertools.product(getattr(route, "methods", None) or [""], [path]))
    return found


def status(client: TestClient, method: str, path: str, headers: dict[str, str]) -> int:
    """What the call is answered with; for a WebSocket, 403 where the handshake is refused, 401 where a close follows it
    for want of a key, and 101 where it can be used.
    """
    if method:
        return client.request(method, path, headers=headers).status_code
    opened = False
    try:
        with client.websocket_connect(URL.replace("http", "ws") + path, headers=dict(headers)) as socket:
            opened = True
            socket.send_text('{"type": "ping"}')
            socket.receive_text()
            return 101
    except WebSocketDisconnect as end:
        return {(True, 1008): 401, (False, 1008): 403}[opened, end.code]


@pytest.fixture
def whole(services: Services) -> FastAPI:
    """The app with the pages that the dashboard adds."""
    app = create_app(services)
    add_pages(app)
    return app


def test_every_route_refuses_foreign_callers_and_answers_ours(whole: FastAPI) -> None:
    client = TestClient(whole, base_url=URL, raise_server_exceptions=False, follow_redirects=False)
    walked = routes(whole)
    assert {("POST", SUBMIT), ("DELETE", f"{TASKS}/{NOBODY}"), ("", "/api/v1/ws"), ("GET", "/docs")} <= walked
    for (method, path), headers in itertools.product(sorted(walked), FOREIGN):
        assert status(client, method, path, headers) == 403, (method, path, headers)
    for (method, path), headers in itertools.product(sorted(walked), OURS):
        assert status(client, method, path, headers) not in (401, 403, 500), (method, path, headers)


def test_paths_that_no_route_has_are_guarded_too(client: TestClient) -> None:
    assert client.post("/nothing", headers={"Origin": "null"}).status_code == 403
    assert client.request("PROPFIND", "/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_every_page_may_be_reached_by_a_link(whole: FastAPI) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    client = TestClient(whole, base_url=URL, follow_redirects=False)
    assert all(client.get(path, headers=link).status_code in (200, 307) for path in PAGES)


@pytest.fixture
def keyed(tmp_path: Path, closing: ExitStack) -> FastAPI:
    settings = settings_for(tmp_path, server={"api_key": "s3cret", "allowed_origins": [STUDIO]})
    app = create_app(open_services(settings, closing))
    add_pages(app)
    return app


def test_with_a_key_every_route_but_liveness_asks_for_it(keyed: FastAPI) -> None:
    client = TestClient(keyed, base_url=URL, raise_server_exceptions=False, follow_redirects=False)
    for method, path in sorted(routes(keyed) - {("GET", "/health"), ("HEAD", "/health")}):
        assert status(client, method, path, {}) == 401, (method, path)
        assert status(client, method, path, {"X-API-Key": "s3cret"}) not in (401, 403, 500), (method, path)
    assert client.get("/health").json() == {"status": "ok"}


def test_a_browser_that_opens_a_page_is_asked_for_a_password(keyed: FastAPI) -> None:
    client = TestClient(keyed, base_url=URL)
    opened = client.get("/docs", headers={"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"})
    assert 'Basic realm="wan22"' in opened.headers["WWW-Authenticate"]
    assert "Basic" not in client.get("/docs").headers["WWW-Authenticate"]
    assert client.get("/docs", auth=("anyone", "s3cret")).status_code == 200


def test_only_exactly_allowed_origins_may_read_answers(keyed: FastAPI) -> None:
    client = TestClient(keyed, base_url=URL, headers={"X-API-Key": "s3cret"})
    theirs = client.get(TASKS, headers={"Origin": STUDIO, "Sec-Fetch-Site": "cross-site"})
    assert theirs.headers["Access-Control-Allow-Origin"] == STUDIO
    assert "Location" in theirs.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in client.get(TASKS).headers
    assert "Origin" in client.get(TASKS).headers["Vary"]


def test_a_preflight_needs_an_allowed_origin_and_no_key(keyed: FastAPI) -> None:
    asking = {"Origin": STUDIO, "Access-Control-Request-Method": "POST"}
    client = TestClient(keyed, base_url=URL)
    allowed = client.options(SUBMIT, headers=asking)
    assert allowed.status_code == 204
    assert allowed.headers["Access-Control-Allow-Origin"] == STUDIO
    assert "X-API-Key" in allowed.headers["Access-Control-Allow-Headers"]
    assert client.options(SUBMIT, headers={**asking, "Origin": "http://evil.com"}).status_code == 403


def test_a_refusal_is_a_problem_that_its_origin_may_read(keyed: FastAPI) -> None:
    answer = TestClient(keyed, base_url=URL).get(TASKS, headers={"Origin": STUDIO})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == STUDIO
    assert answer.json()["code"] == "unauthorized"
    assert "X-API-Key" in answer.json()["hint"]


@pytest.fixture
def address(keyed: FastAPI) -> Iterator[str]:
    """Of the app behind a real server that logs as any library does."""
    server = uvicorn.Server(uvicorn.Config(keyed, port=0, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/api/v1/ws"
    server.should_exit = True
    thread.join()


def test_a_websocket_without_the_key_is_told_and_fills_no_log(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with connect(address, proxy=None) as socket, pytest.raises(ConnectionClosed):
        socket.recv(timeout=20)
    assert socket.protocol.close_code == 1008
    assert "X-API-Key" in (socket.protocol.close_reason or "")
    with connect(address, proxy=None, additional_headers={"X-API-Key": "s3cret"}) as socket:
        socket.send('{"type": "ping"}')
        assert "pong" in str(socket.recv(timeout=20))
    with pytest.raises(InvalidStatus), connect(address, proxy=None, origin=Origin("http://evil.com")):
        pass
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_headers_that_come_twice_are_refused(client: TestClient) -> None:
    twice = [("Host", "127.0.0.1"), ("Host", "127.0.0.1")]
    assert client.get("/health", headers=twice).status_code == 403
    assert client.get("/health", headers=[("Origin", URL), ("Origin", URL)]).status_code == 403


def test_json_is_not_kept_and_not_sniffed(client: TestClient) -> None:
    submitted(client)
    answer = client.get(TASKS)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_allow_no_inline_script_and_no_frame(client: TestClient, path: str) -> None:
    page = client.get(path)
    policy = dict(part.strip().partition(" ")[::2] for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert page.headers["X-Frame-Options"] == "DENY"


def test_a_page_without_a_policy_of_its_own_gets_a_strict_one(app: FastAPI) -> None:
    from fastapi.responses import HTMLResponse

    app.get("/new", response_class=HTMLResponse)(lambda: "<p>new")
    policy = TestClient(app, base_url=URL).get("/new").headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy

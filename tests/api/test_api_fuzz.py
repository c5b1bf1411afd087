"""No input causes a 500: whatever comes is answered as wanted or with a problem. Driven below any client, which would
refuse to send most of this.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from api_kit import BODY, NOBODY, SUBMIT, TASKS, complete, open_services, settings_for
from fastapi import FastAPI
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.pictures import data_url, gradient

from wan22.api.app import create_app
from wan22.api.drafts import read_draft
from wan22.tasks import Draft

JSON = (b"content-type", b"application/json")
FORM = (b"content-type", b"multipart/form-data; boundary=b")
Headers = list[tuple[bytes, bytes]]
Call = Callable[..., tuple[int, dict[str, Any]]]


async def ask(app: FastAPI, scope: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
    """What the app sends for one request."""
    sent: list[dict[str, Any]] = []
    chunks = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return chunks.pop() if chunks else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await asyncio.wait_for(app(scope, receive, send), 20)
    return sent


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    """Sends a request to an app with one finished task; gives the status and the problem, checked to be one."""
    with ExitStack() as closing:
        services = open_services(settings_for(tmp_path_factory.mktemp("home")), closing)
        services.queue.submit(*services.planner.prepare(read_draft(dict(BODY))))
        app = create_app(services)
        app.state.done = complete(services)

        def send(method: str, path: str, headers: Headers, body: bytes = b"", query: bytes = b"") -> Any:
            scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"}
            scope |= {"method": method, "path": path.replace("DONE", app.state.done), "raw_path": b""}
            scope |= {"query_string": query, "headers": [(b"host", b"127.0.0.1"), *headers]}
            messages = asyncio.run(ask(app, scope, body))
            status = messages[0]["status"]
            text = b"".join(message.get("body", b"") for message in messages[1:])
            if status < 400:
                return status, {}
            problem = json.loads(text)
            assert (b"content-type", b"application/problem+json; charset=utf-8") in messages[0]["headers"]
            assert problem["detail"]
            assert problem["hint"]
            assert problem["status"] == status
            return status, problem

        yield send


texts = st.text(max_size=30) | st.sampled_from(["", "T2V-A14B", "upl_" + "0" * 32, "16", "0x10", "null", "1280x720"])
numbers = st.integers() | st.integers(-5, 300) | st.floats() | st.sampled_from([10**25, -(10**300), 1e308, 2**53])
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
sane = {
    "model_type": st.sampled_from(["T2V-A14B", "i2v-a14b", "TI2V-5B"]),
    "prompt": texts,
    "image": st.sampled_from([None, data_url(gradient(32, 32)), "AAAA", "x.png"]),
    "resolution": st.sampled_from(["1280x720", "640X480", "1x1", "x", "99999x99999", "-1x5", "1280*720"]),
    "num_frames": st.integers(-1, 130),
    "fps": st.sampled_from([8, 12, 16, 24, 0, -1, 7, 10**9]),
    "output_format": st.sampled_from(["mp4", "gif", "png", "webp", "webm", "exe"]),
    "mode": st.sampled_from(["video", "image", "both"]),
    "metadata": st.dictionaries(texts, anything, max_size=3),
}
fields = st.fixed_dictionaries({}, optional={name: sane.get(name, anything) | anything for name in Draft.model_fields})
likely = st.fixed_dictionaries({}, optional=sane).map(lambda rest: {"model_type": "TI2V-5B", "prompt": "a cat", **rest})


@settings(max_examples=250, deadline=None)
@given(fields | likely | st.dictionaries(texts, anything, max_size=3))
@example({"model_type": "T2V-A14B", "prompt": "a cat", "metadata": {"a": 10**300}})
@example({"model_type": "T2V-A14B", "prompt": "a cat", "metadata": {"": {"": []}}})
@example({"model_type": "T2V-A14B", "prompt": "a cat", "width": 10**300, "height": 10**300})
@example({"guidance_scale": 10**300, "seed": 10**300, "num_frames": 10**300, "priority": -(10**300)})
def test_any_fields_are_a_task_or_a_problem(call: Call, body: dict[str, Any]) -> None:
    status, problem = call("POST", SUBMIT, [JSON], json.dumps(body).encode("utf-8", "surrogatepass"))
    assert status in (202, 400, 422, 429), problem


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from([[JSON], [FORM], []]) | st.binary(max_size=40).map(lambda x: [(b"content-type", x)]),
)
@example(b'{"prompt": "\\ud800"}', [JSON])
@example(b"[" * 200_000, [JSON])
@example(b'{"a":' * 200_000, [JSON])
@example(b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\r\n--b--\r\n', [FORM])
@example(b"{}", [(b"content-type", b"application/json; charset=\xff")])
@example(b"{}", [JSON, (b"content-length", b"\xb2")])
@example(b"{}", [JSON, (b"idempotency-key", b"\xff\0")])
def test_any_bytes_are_a_problem(call: Call, body: bytes, headers: Headers) -> None:
    status, problem = call("POST", SUBMIT, headers, body)
    assert status in (400, 413, 415, 422), problem


parts = st.tuples(
    st.sampled_from([*Draft.model_fields, "x", ""]), st.binary(max_size=30), st.sampled_from([None, "", "a.png"])
)


@settings(max_examples=100, deadline=None)
@given(st.lists(parts, max_size=5))
def test_any_form_is_a_task_or_a_problem(call: Call, sent: list[tuple[str, bytes, str | None]]) -> None:
    body = b""
    for name, content, file_name in sent:
        named = f'; filename="{file_name}"' if file_name is not None else ""
        body += f'--b\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"
    status, problem = call("POST", SUBMIT, [FORM], body + b"--b--\r\n")
    assert status in (202, 400, 422, 429), problem


segments = st.sampled_from(
    [
        "api",
        "v1",
        "generation",
        "submit",
        "outputs",
        "0",
        "thumbnail",
        "cancel",
        "retry",
        NOBODY,
        "..",
        "docs",
        "assets",
    ]
) | st.text(max_size=20)
paths = st.lists(segments, max_size=7).map(lambda names: "/" + "/".join(names))
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"])


@settings(max_examples=200, deadline=None)
@given(methods, paths | st.just(TASKS), st.binary(max_size=60))
def test_any_path_and_query_are_answered(call: Call, method: str, path: str, query: bytes) -> None:
    status, problem = call(method, path, [JSON], query=query)
    assert status < 500, problem


odd = st.binary(max_size=40) | st.sampled_from([b"bytes=0-", b"bytes=-1", b"*", b'"x"', b"0", b"9" * 30, b"W/", b","])


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["/outputs/0", "/outputs/0/thumbnail", "/events", "", "/outputs/9"]),
    st.dictionaries(
        st.sampled_from(
            [b"range", b"if-range", b"if-none-match", b"last-event-id", b"accept", b"x-api-key", b"cookie"]
        ),
        odd,
        max_size=3,
    ),
)
def test_any_headers_are_answered(call: Call, rest: str, headers: dict[bytes, bytes]) -> None:
    status, problem = call("GET", f"{TASKS}/DONE{rest}", list(headers.items()))
    assert status < 500, problem


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([b"host", b"origin", b"sec-fetch-site", b"authorization"]), odd), max_size=3))
def test_any_origin_is_answered(call: Call, headers: Headers) -> None:
    status, problem = call("GET", "/health", headers)
    assert status < 500, problem

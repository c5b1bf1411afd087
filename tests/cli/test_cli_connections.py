"""A caller who opens connections and says nothing can't keep others out for long."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from wan22.cli.connections import MAX_HEAD_BYTES, BoundedProtocol
from wan22.cli.listen import bind


class Hasty(BoundedProtocol):
    head_timeout_s = 0.5


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server for three callers at a time."""
    app = Starlette(routes=[Route("/health", echo, methods=["GET", "POST"])])
    limits = {"limit_concurrency": 3, "h11_max_incomplete_event_size": MAX_HEAD_BYTES}
    server = uvicorn.Server(uvicorn.Config(app, http=Hasty, log_config=None, lifespan="off", **limits))
    [bound] = bind("127.0.0.1", 0, twin=False)
    thread = threading.Thread(target=server.run, args=[[bound]])
    thread.start()
    yield bound.getsockname()[1]
    server.should_exit = True
    thread.join()
    bound.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def dial(stack: ExitStack, port: int, text: bytes = b"") -> socket.socket:
    caller = stack.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=20)))
    caller.sendall(text)
    return caller


def health(port: int) -> int:
    """The status, 0 if the connection was closed unheard."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").status_code
    except httpx.TransportError:
        return 0


def eventually(is_so: Callable[[], bool]) -> None:
    for _ in range(1000):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to be")


def test_an_answer_is_as_ever(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert [client.post("/health", content=b"x" * size).text for size in (0, 9)] == ["", "x" * 9]


@pytest.mark.parametrize("text", [b"", b"GET /health HTTP/1.1\r\nX-Half: "])
def test_a_head_that_never_ends_is_waited_for_in_vain(stack: ExitStack, port: int, text: bytes) -> None:
    assert dial(stack, port, text).recv(1) == b""


def test_nor_one_that_follows_a_whole_request(stack: ExitStack, port: int) -> None:
    caller = dial(stack, port, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /he")
    answered = b"".join(iter(lambda: caller.recv(4096), b""))
    assert answered.startswith(b"HTTP/1.1 200")


def test_a_body_may_take_longer_than_a_head(stack: ExitStack, port: int) -> None:
    caller = dial(stack, port, b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
    time.sleep(2 * Hasty.head_timeout_s)
    caller.sendall(b"b")
    assert caller.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_crowd_of_silent_callers_is_gone_after_a_while(stack: ExitStack, port: int) -> None:
    for _ in range(3):
        dial(stack, port)
    assert health(port) in (503, 200)
    eventually(lambda: health(port) == 200)


def test_beyond_twice_the_limit_nobody_is_heard(stack: ExitStack, port: int) -> None:
    for _ in range(20):
        dial(stack, port)
    assert health(port) in (0, 503, 200)
    eventually(lambda: health(port) == 200)


def test_a_head_that_is_too_large_is_refused(stack: ExitStack, port: int) -> None:
    caller = dial(stack, port, b"GET /health HTTP/1.1\r\nX-Long: " + b"x" * (MAX_HEAD_BYTES + 1))
    assert caller.recv(4096).startswith(b"HTTP/1.1 400")

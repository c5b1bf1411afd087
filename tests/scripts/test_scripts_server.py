"""The quickstart's server: a child that is started, watched and ended; or the one that is there."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from commands import SetupFailed
from server import free_port, is_taken, is_wan22, last_words, running

CHILD = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Little(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"status": "ok"} if self.path == "/health" else {"tasks": []}).encode())

print("listening", flush=True)
try:
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Little).serve_forever()
except KeyboardInterrupt:
    print("ended in good order", flush=True)
"""


def child(port: int) -> list[str]:
    return [sys.executable, "-c", CHILD, str(port)]


@pytest.fixture
def stranger() -> Iterator[int]:
    """The port of a server that answers 404 to everything."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as http:
        threading.Thread(target=http.serve_forever, args=[0.01], daemon=True).start()
        yield http.server_address[1]
        http.shutdown()


def test_a_child_serves_during_the_block_and_ends_in_good_order(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "build" / "server.log"
    with running(child(port), port=port, log=log) as server:
        assert is_wan22(server.url)
    assert not is_taken(port)
    assert log.read_text().splitlines()[-1] == "ended in good order"


def test_a_server_that_is_there_is_used_and_left_alone(tmp_path: Path) -> None:
    port = free_port()
    with running(child(port), port=port, log=tmp_path / "first.log"):
        with running(["no-such-program"], port=port, log=tmp_path / "second.log") as second:
            assert second.process is None
        assert is_wan22(second.url)


def test_an_error_in_the_block_ends_the_child(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(ValueError, match="mine"), running(child(port), port=port, log=tmp_path / "log"):
        raise ValueError("mine")
    assert not is_taken(port)


def test_a_port_of_another_program_is_refused_with_the_flag_that_helps(stranger: int, tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match=f"Port {stranger} is taken.*--port"):
        running(["no-such-program"], port=stranger, log=tmp_path / "log").__enter__()


def test_a_child_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    dying = [sys.executable, "-c", "import sys; print('the disk is full', file=sys.stderr); sys.exit(3)"]
    with pytest.raises(SetupFailed, match="the disk is full"):
        running(dying, port=free_port(), log=tmp_path / "log").__enter__()


def test_only_the_end_of_a_log_is_shown(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff\n" + b"\n".join(str(i).encode() for i in range(100)))
    shown = last_words(tmp_path / "log").split()
    assert (shown[0], shown[-1]) == ("80", "99")
    assert "nothing" in last_words(tmp_path / "absent")


def test_nobody_is_no_wan22() -> None:
    assert not is_wan22(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("body", "ours"),
    [
        (b'{"type": "urn:wan22:problem:unauthorized", "status": 401}', True),
        (b'{"type": "about:blank", "status": 401}', False),
        (b"[]", False),
        (b"<html>", False),
    ],
)
def test_a_server_that_wants_a_key_is_told_by_its_words(body: bytes, ours: bool) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.end_headers()
            self.wfile.write(body)

    with HTTPServer(("127.0.0.1", 0), Refusing) as http:
        threading.Thread(target=http.handle_request, daemon=True).start()
        assert is_wan22(f"http://127.0.0.1:{http.server_address[1]}") is ours


def test_something_that_is_no_web_server_is_no_wan22() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=lambda: listening.accept()[0].sendall(b"SSH-2.0-strange\r\n"), daemon=True).start()
        assert not is_wan22(f"http://127.0.0.1:{listening.getsockname()[1]}")

"""A WAN22 server for the quickstart: the one that answers already, or one started as a child and ended with it.

What the server does is `wan22 serve`'s business; this only starts it, waits, shows its last words and stops it.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from commands import SetupFailed

HOST = "127.0.0.1"
START_S = 180  # a cold disk and a virus scanner make a first start slow
STOP_S = 30  # the server gives a running task ten seconds before it puts it back, and closes its files after that
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business on the loopback


@dataclass(frozen=True)
class Server:
    """A server that answers at `url`; `process` is None for one that somebody else runs."""

    url: str
    process: subprocess.Popen[bytes] | None = None


def is_alive(url: str) -> bool:
    """Whether the server there says that it lives."""
    return _get(f"{url}/health") == {"status": "ok"}


def is_wan22(url: str) -> bool:
    """Whether a WAN22 server answers there: it lists tasks, or refuses to in its own words for want of a key."""
    answer = _get(f"{url}/api/v1/generation?limit=1")
    return "tasks" in answer or str(answer.get("type")).startswith("urn:wan22:")


def _get(url: str) -> dict[str, object]:
    """The JSON object there, an error's, too; empty if nobody is there, or somebody who speaks of other things."""
    try:
        with _answer(url) as answer:
            body = json.load(answer)
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    return body if isinstance(body, dict) else {}


def _answer(url: str) -> http.client.HTTPResponse | urllib.error.HTTPError:
    """The answer, which an error is, too."""
    try:
        return _DIRECT.open(url, timeout=5)  # type: ignore[no-any-return] # urllib promises nothing of what it opens
    except urllib.error.HTTPError as error:
        return error


def is_taken(port: int) -> bool:
    """Whether something listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((HOST, port)) == 0


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], *, port: int, log: Path, say: Callable[[str], None] = print) -> Iterator[Server]:
    """A server on the port while the block runs: one that is there already, or `command` as a child writing to `log`.

    Raises SetupFailed if the port is somebody else's, or with the child's last words if it does not come up.
    """
    url = f"http://{HOST}:{port}"
    if is_wan22(url):
        say(f"Using the server that runs at {url}")
        yield Server(url)
        return
    if is_taken(port):
        raise SetupFailed(f"Port {port} is taken by another program: choose another, as with --port {free_port()}.")
    say(f"Starting the server; its log is {log}")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, **_apart())  # type: ignore[call-overload] # the flags are the system's own
    server = Server(url, process)
    try:
        _await(server, log)
        yield server
    finally:
        stop(process)


def last_words(log: Path, lines: int = 20) -> str:
    """The end of the log, indented."""
    text = log.read_text("utf-8", errors="replace") if log.is_file() else ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (nothing)"


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the child to end as Ctrl+C does, and end it if it does not."""
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _apart() -> dict[str, object]:
    """Flags that keep the terminal's Ctrl+C from the child: it gets one signal, from `stop`, and ends in good order."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if sys.platform == "win32":
        return {"env": environment, "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"env": environment, "start_new_session": True}


def _await(server: Server, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not is_alive(server.url):
        if server.process and server.process.poll() is not None:
            raise SetupFailed(f"The server ended as it started. The last lines of {log}:\n{last_words(log)}")
        if time.monotonic() > deadline:
            raise SetupFailed(f"The server did not answer in {START_S} s. The last lines of {log}:\n{last_words(log)}")
        time.sleep(0.2)

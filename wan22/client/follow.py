"""Follows one task's events: Server-Sent Events, replayed from the last seen id after a break, polling where the stream
is not to be had. Leaves the verbs to `client`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import NamedTuple

import httpx
from pydantic import ValidationError

from wan22.client.problems import check, reaching
from wan22.client.replies import RemoteTask
from wan22.errors import ServerFault
from wan22.tasks import Event, EventType, Status

SILENCE_S = 45.0  # the server sends a comment every 15 s, so three missed ones mean a dead connection
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # before each try to connect again; the last is repeated
POLL_S = 0.5
ENDS = {
    Status.COMPLETED: EventType.TASK_COMPLETED,
    Status.FAILED: EventType.TASK_FAILED,
    Status.CANCELLED: EventType.TASK_CANCELLED,
}


class Message(NamedTuple):
    """One message of the stream; a comment, which servers send to keep a connection open, has no data."""

    id: str
    data: str


def read_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines in a stream of UTF-8, which end in LF or CRLF and nowhere else: text may hold other line breaks."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.removesuffix(b"\r").decode(errors="replace") for line in lines)


def read_messages(lines: Iterable[str]) -> Iterator[Message]:
    """Messages of a Server-Sent Events stream, after the HTML standard's parsing rules; `event:` is not needed here."""
    last_id, data = "", []
    for line in lines:
        if line.startswith(":"):
            yield Message(last_id, "")
        elif line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "id":
                last_id = value
            elif name == "data":
                data.append(value)
        elif data:
            yield Message(last_id, "\n".join(data))
            data = []


class _NoStream(Exception):
    """The answer is no event stream, as behind a proxy that rewrites it."""


class Follower:
    """An iterable of one task's events that ends after the one that ends the task; iterate it once.

    Raises NotFound if the task is not there, and ServerFault once the server has been away for `patience_s`, or the
    task still goes on after `timeout_s`. `stop` may be called from any thread: the iteration then ends early.
    """

    def __init__(
        self, http: httpx.Client, task_id: str, *, patience_s: float = 60.0, timeout_s: float | None = None
    ) -> None:
        self._http = http
        self._task_id = task_id
        self._url = f"/api/v1/generation/{task_id}"
        self._patience_s = patience_s
        self._timeout_s = timeout_s
        self._started_at = self._heard_at = time.monotonic()
        self._failures = 0
        self._last_id = ""
        self._stopped = threading.Event()
        self._socket: socket.socket | None = None

    def stop(self) -> None:
        """End the iteration, at once where a connection waits for news."""
        self._stopped.set()
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the connection has just ended by itself
                self._socket.shutdown(socket.SHUT_RDWR)

    def __iter__(self) -> Iterator[Event]:
        source = self._streamed
        while not self._stopped.is_set():
            try:
                for event in source():
                    yield event
                    if event.type.is_terminal:
                        return
            except _NoStream:
                source = self._polled
            except (httpx.TransportError, ServerFault) as error:
                if not self._stopped.is_set():
                    self._bear(error)
            self._pause()

    def _streamed(self) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._last_id} if self._last_id else {})
        timeout = httpx.Timeout(10.0, read=min(SILENCE_S, self._remaining_s()))
        with self._http.stream("GET", f"{self._url}/events", headers=headers, timeout=timeout) as response:
            if response.is_error:
                response.read()
                check(response)
            if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                raise _NoStream
            self._socket = _socket_of(response)
            for message in read_messages(read_lines(response.iter_bytes())):
                self._heard()
                yield from self._events_of(message)
        yield from self._ending()

    def _events_of(self, message: Message) -> Iterator[Event]:
        """The message's event; for a comment, the end of the task if that went past us."""
        if not message.data:
            yield from self._ending()
            return
        self._last_id = message.id or self._last_id
        event = parse_event(message.data)
        if event is not None and event.task_id == self._task_id:
            yield event

    def _polled(self) -> Iterator[Event]:
        while not self._stopped.is_set():
            task = self._fetch()
            yield event_of(task)
            if task.status.is_terminal:
                return
            self._stopped.wait(POLL_S)

    def _ending(self) -> Iterator[Event]:
        if not self._stopped.is_set() and (task := self._fetch()).status.is_terminal:
            yield event_of(task)

    def _fetch(self) -> RemoteTask:
        response = self._http.get(self._url)
        check(response)
        self._heard()
        return RemoteTask.model_validate_json(response.content)

    def _heard(self) -> None:
        self._remaining_s()
        self._heard_at, self._failures = time.monotonic(), 0

    def _bear(self, error: httpx.TransportError | ServerFault) -> None:
        """Go on after a failure, unless patience or time is up."""
        self._remaining_s()
        if time.monotonic() - self._heard_at > self._patience_s:
            with reaching(str(self._http.base_url)):
                raise error

    def _pause(self) -> None:
        self._stopped.wait(min(PAUSES_S[min(self._failures, len(PAUSES_S) - 1)], self._remaining_s()))
        self._failures += 1

    def _remaining_s(self) -> float:
        if self._timeout_s is None:
            return SILENCE_S
        left = self._started_at + self._timeout_s - time.monotonic()
        if left <= 0:
            raise ServerFault(
                f"Task {self._task_id} has not ended within {self._timeout_s:g} s.",
                hint="It goes on; wait for it again, or cancel it.",
            )
        return left


def _socket_of(response: httpx.Response) -> socket.socket | None:
    stream = response.extensions.get("network_stream")
    found = stream.get_extra_info("socket") if stream else None
    return found if isinstance(found, socket.socket) else None


def parse_event(data: str) -> Event | None:
    """The event in one message, None if this version does not know its kind."""
    try:
        return Event.model_validate_json(data)
    except ValidationError:
        return None


def event_of(task: RemoteTask) -> Event:
    """An event, of id 0, that tells how a task stands, for when the true one was not heard."""
    now = datetime.now(timezone.utc)
    kind = ENDS.get(task.status, EventType.TASK_QUEUED if task.status is Status.QUEUED else EventType.TASK_PROGRESS)
    fields = {"status", "model_type", "phase", "progress", "step", "total_steps", "eta_s", "error"}
    data = task.model_dump(mode="json", include=fields) | {"position": task.queue_position}
    return Event(id=0, type=kind, task_id=task.task_id, at=now, data=data)

"""One WebSocket: sends events as they come, and does what the client asks for (ping, cancel).

Each socket has its own two tasks and its own place in the feed, so one that reads slowly, or not at all, delays nobody.
"""

from __future__ import annotations

import json
from typing import Any

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from wan22.api.handlers import tasks
from wan22.api.handlers.stream import event_id
from wan22.api.listener import Listener
from wan22.api.query import check_query
from wan22.api.services import Services
from wan22.api.views import view_event
from wan22.errors import InvalidRequest, NotFound, RequestError, Wan22Error

PARAMETERS = ("task_id", "after")
MAX_MESSAGE_CHARS = 4_096
TOO_LARGE, SERVER_FAULT = 1009, 1011  # RFC 6455
CLOSE_CODES: dict[type[Wan22Error], int] = {NotFound: 4404, InvalidRequest: 4400}
KNOWN_MESSAGES = 'the messages are {"type": "ping"} and {"type": "cancel", "task_id": …}'


async def serve(socket: WebSocket, services: Services) -> None:
    """Answer the handshake and stay until the client leaves.

    A wrong parameter is told by a close code after the handshake: browsers hide why one was refused.
    """
    await socket.accept()
    try:
        task_id, after = await _wanted(socket, services)
    except Wan22Error as error:
        await _close(socket, error)
    else:
        with Listener(services, task_id=task_id, after=after) as listener:
            await Session(socket, services).run(listener)


async def _wanted(socket: WebSocket, services: Services) -> tuple[str | None, int | None]:
    check_query(socket.query_params, PARAMETERS)
    task_id = socket.query_params.get("task_id")
    after = event_id("after", socket.query_params.get("after"))
    if not task_id:
        return None, after
    task = await services.threads.call(services.queue.get, task_id.lower())
    return task.task_id, after


async def _close(socket: WebSocket, error: Wan22Error) -> None:
    """Say why and leave; a close reason has room for 123 bytes."""
    reason = error.detail.encode(errors="replace")[:120].decode(errors="ignore")
    await socket.close(CLOSE_CODES.get(type(error), SERVER_FAULT), reason)


class Session:
    """The two directions of one open socket."""

    def __init__(self, socket: WebSocket, services: Services) -> None:
        self._socket = socket
        self._services = services
        self._sending = anyio.Lock()  # one message at a time; while one waits for a slow reader, nothing more is read
        self._scope = anyio.CancelScope()

    async def run(self, listener: Listener) -> None:
        """Both directions until either ends."""
        async with anyio.create_task_group() as group:
            self._scope = group.cancel_scope
            group.start_soon(self._send_events, listener)
            group.start_soon(self._read_messages)

    async def _send_events(self, listener: Listener) -> None:
        try:
            async for event in listener:
                await self._send(view_event(event).model_dump_json())
        except WebSocketDisconnect:
            pass  # the client left, as it may
        except Wan22Error as error:
            await _close(self._socket, error)
        self._scope.cancel()

    async def _read_messages(self) -> None:
        try:
            while True:
                text = await self._receive()
                if len(text) > MAX_MESSAGE_CHARS:
                    await self._socket.close(TOO_LARGE, f"A message may have {MAX_MESSAGE_CHARS} characters.")
                    break
                await self._send(json.dumps(await self._answer(text), ensure_ascii=False))
        except WebSocketDisconnect:
            pass  # the client left, as it may
        self._scope.cancel()

    async def _receive(self) -> str:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text: str | None = message.get("text")
        return text if text is not None else (message.get("bytes") or b"").decode(errors="replace")

    async def _send(self, text: str) -> None:
        async with self._sending:
            await self._socket.send_text(text)

    async def _answer(self, text: str) -> dict[str, Any]:
        """What to say to one message of the client; whatever is wrong with it, the socket lives on."""
        try:
            return await self._obey(_parsed(text))
        except Wan22Error as error:
            return {"type": "error", "code": error.code, "detail": error.detail, "hint": error.hint}

    async def _obey(self, message: dict[str, Any]) -> dict[str, Any]:
        if message.get("type") == "ping":
            return {"type": "pong"}
        if message.get("type") == "cancel":
            task_id = message.get("task_id")
            if not isinstance(task_id, str):
                raise InvalidRequest.of("task_id", "must be the id of a task, as text", task_id)
            task = await self._services.threads.call(tasks.cancel, self._services, task_id.lower())
            return {"type": "cancel", "task_id": task.task_id, "status": task.status.value}
        raise RequestError("This message is not known.", hint=f"Of a client, {KNOWN_MESSAGES}.")


def _parsed(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError("This message is not JSON.", hint=f"Of a client, {KNOWN_MESSAGES}.") from error
    return message if isinstance(message, dict) else {}

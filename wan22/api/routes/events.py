"""The two streams of events: Server-Sent Events for one task, a WebSocket for one or all."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response, WebSocket
from starlette.exceptions import HTTPException

from wan22.api import examples, manual
from wan22.api.handlers import socket
from wan22.api.handlers.stream import event_id, stream
from wan22.api.query import only
from wan22.api.routes.generation import TaskId
from wan22.api.services import Deps
from wan22.api.views import TASKS

router = APIRouter(tags=["events"])

SOCKET = "/api/v1/ws"

LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="Id of the last event seen.")]


@router.get(
    TASKS + "/{task_id}/events",
    response_class=Response,
    responses=manual.stream(examples.EVENT) | manual.problems(404) | manual.wrong_parameter(examples.WRONG_EVENT_ID),
    dependencies=[Depends(only())],
    summary="Follow a task (Server-Sent Events)",
)
async def follow_task(task_id: TaskId, services: Deps, last_event_id: LastEventId = None) -> Response:
    """Everything that happened to the task, then what happens, until it ends; a comment comes every 15 s.

    With `Last-Event-ID`, which an EventSource sends by itself, it goes on after that event; progress in between is not
    repeated. 204 if the task has ended and the reader has seen that.
    """
    return await stream(services, task_id, event_id("Last-Event-ID", last_event_id))


@router.websocket(SOCKET)
async def follow_all(websocket: WebSocket, services: Deps) -> None:
    """Messages `{id, type, task_id, at, data}`; `?task_id=` for one task, `?after=` to replay from an event id."""
    await socket.serve(websocket, services)


@router.api_route(SOCKET, methods=["GET", "HEAD"], include_in_schema=False)
async def socket_over_http() -> Response:
    """For a caller that does not ask for a WebSocket: the answer says that this is one."""
    raise HTTPException(426, headers={"Upgrade": "websocket", "Connection": "Upgrade"})

"""One task's events as Server-Sent Events, from the last one that the reader has seen to the one that ends the task."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable

from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from wan22.api.listener import Listener
from wan22.api.services import Services
from wan22.api.views import view_event
from wan22.errors import InvalidRequest
from wan22.tasks import Event

HEARTBEAT_S = 15
"""Between two comments; proxies and readers give a silent connection up."""

SEND_TIMEOUT_S = 60
"""A reader that takes nothing for this long is let go; it goes on where it was when it comes back."""

MAX_EVENT_ID = 2**63 - 1


def event_id(name: str, text: str | None) -> int | None:
    """The event id in a header or parameter; None if it is not there. Raises InvalidRequest."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= MAX_EVENT_ID):
        raise InvalidRequest.of(name, "must be the id of an event, a whole number", text)
    return int(text)


async def stream(services: Services, task_id: str, after: int | None) -> Response:
    """The events with an id over `after`, or all of the task's. 204 if it has ended and the reader has seen the end:
    that tells an EventSource not to come back. Raises NotFound.
    """
    task = await services.threads.call(services.queue.get, task_id)
    if not task.status.is_terminal:
        return _response(_follow(services, task_id, after or 0))
    with Listener(services, task_id=task_id, after=after or 0) as listener:
        past = await listener.take()
    return _response(_replay(past)) if past else Response(status_code=204)


class EventStream(EventSourceResponse):
    """A stream that lets a reader who takes nothing go, quietly: the reader may be a laptop that was shut."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until the reader has gone."""
        with contextlib.suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)


def _response(messages: AsyncIterator[ServerSentEvent]) -> Response:
    return EventStream(messages, ping=HEARTBEAT_S, send_timeout=SEND_TIMEOUT_S)


async def _follow(services: Services, task_id: str, after: int) -> AsyncIterator[ServerSentEvent]:
    with Listener(services, task_id=task_id, after=after) as listener:
        async for event in listener:
            yield _message(event)
            if event.type.is_terminal:
                return


async def _replay(events: Iterable[Event]) -> AsyncIterator[ServerSentEvent]:
    for event in events:
        yield _message(event)


def _message(event: Event) -> ServerSentEvent:
    return ServerSentEvent(view_event(event).model_dump_json(), event=event.type.value, id=str(event.id))

"""News from any thread reach the event loop, in order, without piling up behind a slow reader."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from api_kit import NOBODY, complete

from wan22.api.drafts import read_draft
from wan22.api.handlers.socket import Session
from wan22.api.listener import Listener
from wan22.api.services import Services
from wan22.tasks import Event, EventType

LOADED, PROGRESS = EventType.MODEL_LOADED, EventType.TASK_PROGRESS


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 20))


async def next_of(listener: Listener, count: int) -> list[Event]:
    """The next events, as the iterator gives them."""
    found = []
    async for event in listener:
        found.append(event)
        if len(found) == count:
            break
    return found


def test_events_of_other_threads_arrive_in_order(services: Services) -> None:
    async def story() -> list[Event]:
        with Listener(services) as listener:
            publish = threading.Thread(target=lambda: [services.feed.publish(LOADED, None, {"n": n}) for n in range(5)])
            publish.start()
            found = await next_of(listener, 5)
            publish.join()
            return found

    assert [event.data["n"] for event in run(story())] == [0, 1, 2, 3, 4]


def test_a_late_reader_gets_only_the_latest_progress(services: Services) -> None:
    async def story() -> list[Event]:
        with Listener(services) as listener:
            for n in range(200):
                services.feed.publish(PROGRESS, NOBODY, {"n": n})
            return await listener.take()

    assert [event.data["n"] for event in run(story())] == [199]


def test_what_happened_before_is_replayed_from_the_disk(services: Services) -> None:
    first, *rest = [services.feed.publish(LOADED, None, {"n": n}) for n in range(4)]

    async def story() -> list[Event]:
        with Listener(services, after=first.id) as listener:
            return await next_of(listener, 3)

    assert [event.id for event in run(story())] == [event.id for event in rest]


def test_news_after_the_loop_has_ended_harm_nobody(services: Services) -> None:
    async def forgotten() -> Listener:
        return Listener(services)

    listener = run(forgotten())
    services.feed.publish(LOADED, None, {})
    listener.__exit__(None, None, None)


def test_a_closed_listener_is_called_no_more(services: Services) -> None:
    async def story() -> list[Event]:
        with Listener(services) as listener:
            pass
        services.feed.publish(LOADED, None, {})
        return await listener.take()

    assert run(story()) == []


class FakeSocket:
    """A socket whose other side reads `window` messages and then no more."""

    def __init__(self, window: float) -> None:
        self.got: list[str] = []
        self._window = window
        self._change = asyncio.Condition()

    async def send_text(self, text: str) -> None:
        async with self._change:
            await self._change.wait_for(lambda: len(self.got) < self._window)
            self.got.append(text)
            self._change.notify_all()

    async def has(self, count: int) -> None:
        """Once it has been sent this many."""
        async with self._change:
            await self._change.wait_for(lambda: len(self.got) >= count)

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(3_600)
        return {"type": "websocket.disconnect"}


@pytest.mark.parametrize("stuck_readers", [1, 20])
def test_a_reader_that_never_reads_delays_nobody(services: Services, stuck_readers: int) -> None:
    async def story() -> list[str]:
        sockets = [FakeSocket(0) for _ in range(stuck_readers)] + [FakeSocket(float("inf"))]
        sessions = []
        for socket in sockets:
            session = Session(socket, services)  # type: ignore[arg-type] # as much of a WebSocket as is used
            sessions.append(asyncio.ensure_future(session.run(Listener(services))))
        await asyncio.sleep(0)
        for n in range(50):
            await services.threads.call(services.feed.publish, LOADED, None, {"n": n})
        await sockets[-1].has(50)
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)
        return sockets[-1].got

    assert len(run(story())) == 50


def test_completing_a_task_is_told(services: Services) -> None:
    services.queue.submit(*services.planner.prepare(read_draft({"model_type": "T2V-A14B", "prompt": "a cat"})))
    task_id = complete(services)

    async def story() -> list[Event]:
        with Listener(services, task_id=task_id, after=0) as listener:
            return await next_of(listener, 3)

    assert [event.type.value for event in run(story())] == ["task.queued", "task.started", "task.completed"]

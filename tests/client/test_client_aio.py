"""The asyncio client has the same verbs and answers, and lets the event loop go on."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest
from client_story import HANG, VIDEO, Story, event

from wan22.client import AsyncClient, Client
from wan22.tasks import Event


def public(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def test_it_has_every_verb() -> None:
    assert public(AsyncClient) == public(Client) - {"follow"}


def test_a_task_from_submit_to_file(story: Story, tmp_path: Path) -> None:
    story.streams = [[event(1, "task.started"), event(2, "task.completed")]]
    heard: list[Event] = []

    async def use() -> Path:
        async with AsyncClient(story.url) as client:
            task = await client.submit(prompt="a cat")
            done = await client.wait(task.task_id, on_event=heard.append)
            return await client.download(done, 0, tmp_path / "cat.mp4")

    assert asyncio.run(use()).read_bytes() == VIDEO
    assert [item.id for item in heard] == [1, 2]


def test_the_other_verbs(story: Story) -> None:
    async def use() -> list[str]:
        async with AsyncClient(story.url) as client:
            await client.health()
            await client.delete("t1")
            page = await client.list(limit=3)
            tasks = [await client.get("t1"), await client.cancel("t1"), await client.retry("t1"), *page.tasks]
            return [task.task_id for task in tasks]

    assert asyncio.run(use()) == ["t1"] * 4


def test_a_cancelled_wait_ends_at_once_and_leaves_the_task(story: Story) -> None:
    story.status, story.streams = "running", [[event(1, "task.started"), HANG]]

    async def use() -> None:
        async with AsyncClient(story.url) as client:
            started = asyncio.Event()
            waiting = asyncio.create_task(client.wait("t1", on_event=lambda _: started.set()))
            await started.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(use())
    assert ("POST", "/api/v1/generation/t1/cancel") not in story.asked

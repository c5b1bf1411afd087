"""The client's verbs for asyncio. Each runs the blocking one in a thread, so that nothing is written twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from wan22.client.client import DEFAULT_URL, Client
from wan22.client.replies import LoadReply, RemoteTask, Resident, TaskPage
from wan22.tasks import Draft, Event, Forecast, ModelType


class AsyncClient:
    """As `Client`, awaited: the same arguments, answers and errors. An async context manager."""

    def __init__(self, base_url: str = DEFAULT_URL, *, api_key: str | None = None, timeout_s: float = 30.0) -> None:
        self._client = Client(base_url, api_key=api_key, timeout_s=timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._client.close)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def health(self) -> dict[str, Any]:
        """See `Client.health`."""
        return await asyncio.to_thread(self._client.health)

    async def submit(self, draft: Draft | None = None, **fields: Any) -> RemoteTask:
        """See `Client.submit`."""
        return await asyncio.to_thread(self._client.submit, draft, **fields)

    async def estimate(self, draft: Draft | None = None, **fields: Any) -> Forecast:
        """See `Client.estimate`."""
        return await asyncio.to_thread(self._client.estimate, draft, **fields)

    async def get(self, task_id: str) -> RemoteTask:
        """See `Client.get`."""
        return await asyncio.to_thread(self._client.get, task_id)

    async def list(self, **filters: Any) -> TaskPage:
        """See `Client.list`."""
        return await asyncio.to_thread(self._client.list, **filters)

    async def cancel(self, task_id: str) -> RemoteTask:
        """See `Client.cancel`."""
        return await asyncio.to_thread(self._client.cancel, task_id)

    async def retry(self, task_id: str) -> RemoteTask:
        """See `Client.retry`."""
        return await asyncio.to_thread(self._client.retry, task_id)

    async def delete(self, task_id: str) -> None:
        """See `Client.delete`."""
        await asyncio.to_thread(self._client.delete, task_id)

    async def load(self, model_type: ModelType | str) -> LoadReply:
        """See `Client.load`."""
        return await asyncio.to_thread(self._client.load, model_type)

    async def unload(self, model_type: ModelType | str) -> tuple[Resident, ...]:
        """See `Client.unload`."""
        return await asyncio.to_thread(self._client.unload, model_type)

    async def wait(
        self,
        task_id: str,
        *,
        on_event: Callable[[Event], None] | None = None,
        timeout_s: float | None = None,
    ) -> RemoteTask:
        """See `Client.wait`; `on_event` is called in the event loop. Cancelling it leaves the task as it is."""
        loop = asyncio.get_running_loop()
        follower = self._client.follow(task_id, timeout_s=timeout_s)

        def drain() -> None:
            for event in follower:
                if on_event:
                    loop.call_soon_threadsafe(on_event, event)

        try:
            await asyncio.to_thread(drain)
        finally:
            follower.stop()
        return await self.get(task_id)

    async def download(self, task: RemoteTask | str, index: int = 0, path: Path | str | None = None) -> Path:
        """See `Client.download`."""
        return await asyncio.to_thread(self._client.download, task, index, path)

"""A real server with the demo weights on a free loopback port, shared by the whole session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from support.server import serving, wait


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that runs the demo weights."""
    with serving(tmp_path_factory.mktemp("home")) as url:
        yield url


@pytest.fixture(scope="session")
def client(server: str) -> Iterator[httpx.Client]:
    """An HTTP client of that server."""
    with httpx.Client(base_url=server, timeout=60) as client:
        yield client


Submit = Callable[..., dict[str, Any]]


@pytest.fixture
def generate(client: httpx.Client) -> Submit:
    """Submit a body, wait for the end, and give the task as the server tells it."""

    def run(**body: Any) -> dict[str, Any]:
        answer = client.post("/api/v1/generation/submit", json=body)
        assert answer.status_code == 202, answer.text
        return wait(client, answer.json()["task_id"])

    return run

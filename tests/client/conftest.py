"""Fixtures: the stand-in server, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from client_story import Story
from starlette.applications import Starlette
from starlette.routing import Route

from wan22.cli.background import served
from wan22.client import Client


@pytest.fixture
def story() -> Iterator[Story]:
    told = Story()
    with served(Starlette(routes=[Route("/{path:path}", told.answer, methods=["GET", "POST", "DELETE"])])) as told.url:
        yield told


@pytest.fixture
def client(story: Story) -> Iterator[Client]:
    with Client(story.url, api_key="secret") as made:
        yield made

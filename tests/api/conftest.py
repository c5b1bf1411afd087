"""An app over real rooms, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from api_kit import URL, open_services, settings_for
from fastapi import FastAPI
from starlette.testclient import TestClient

from wan22.api.app import create_app
from wan22.api.services import Services


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Closes what a test opens."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def services(tmp_path: Path, closing: ExitStack) -> Services:
    """The rooms below, without a worker."""
    return open_services(settings_for(tmp_path), closing)


@pytest.fixture
def app(services: Services) -> FastAPI:
    """The app over them."""
    return create_app(services)


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    """A client that sees answers of 500 as what they are."""
    return TestClient(app, base_url=URL, raise_server_exceptions=False)

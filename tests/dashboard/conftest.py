"""Fixtures: a server with a painter, a browser, and the page in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboard_studio import CHROMIUM, FLAGS, open_page, open_studio
from playwright.sync_api import Browser, Page, sync_playwright


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[str]:
    """A server for one test."""
    with open_studio(tmp_path / "home") as url:
        yield url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser without a window. Gone with its module: while it is there, Playwright keeps an event loop running."""
    if not CHROMIUM:
        pytest.skip("no Chromium: name one in WAN22_CHROMIUM")  # the page can't be tried without one
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, studio: str) -> Iterator[Page]:
    """The dashboard on a desk."""
    with open_page(chromium, studio) as opened:
        yield opened

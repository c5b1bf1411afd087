"""A whole server inside this process, for one command. Loaded only when no other server is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wan22.cli.address import noted
from wan22.cli.background import served
from wan22.runtime import Runtime
from wan22.settings import Settings


@contextmanager
def served_inside(settings: Settings) -> Iterator[str]:
    """Run the server's machinery on the home of `settings` and a free loopback port; gives its URL."""
    runtime = Runtime(settings)
    try:
        with served(runtime.app) as url, noted(settings.storage.home, url):
            yield url
    finally:
        runtime.close()

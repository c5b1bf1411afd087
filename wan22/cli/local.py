"""A client of the server at hand: the named one, the one that runs, or one started inside this process for a while."""

from __future__ import annotations

import logging
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from wan22.cli.address import api_key_of, configured_url, find_server
from wan22.client import Client
from wan22.errors import ServerFault
from wan22.settings import Settings


@contextmanager
def connected(settings: Settings, url: str | None) -> Iterator[Client]:
    """A client of the server at `url`; without one, of a running server with these settings, else of one in here.

    Raises ConfigurationError, StoreError or DiskFull if a server has to be started and can't be.
    """
    key = api_key_of(settings)
    url = url or find_server(settings)
    if url:
        with Client(url, api_key=key) as client:
            yield client
        return
    log_to_stderr("WARNING")
    # Loaded by name, now: a client of a running server needs no FastAPI.
    inside: Callable[[Settings], AbstractContextManager[str]] = pkgutil.resolve_name("wan22.cli.inside:served_inside")
    with inside(settings) as own_url, Client(own_url, api_key=key) as client:
        yield client


@contextmanager
def running(settings: Settings, url: str | None) -> Iterator[Client]:
    """A client of the server at `url`, or of a running one with these settings. Raises ServerFault if there is none."""
    url = url or find_server(settings)
    if url is None:
        told = f"No WAN22 server runs with {settings.storage.home}, nor at {configured_url(settings)}."
        raise ServerFault(told, hint="Start one with `wan22 serve`, or name another with --server.")
    with Client(url, api_key=api_key_of(settings)) as client:
        yield client


def log_to_stderr(level: str) -> None:
    """Write log lines of `level` and above to stderr, where results do not go."""
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", force=True
    )
    if level != "DEBUG":
        for chatty in ("httpx", "uvicorn.error"):
            logging.getLogger(chatty).setLevel("WARNING")

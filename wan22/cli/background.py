"""Serves an ASGI app from a thread of this process, on a loopback port."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from wan22.cli.listen import bind, url_of
from wan22.errors import ServerFault


@contextmanager
def served(app: Any, *, port: int = 0) -> Iterator[str]:
    """Serve an ASGI app from a thread while the block runs, then shut it down in good order; gives its URL.

    Raises ServerFault if the app does not start, ConfigurationError if the port can't be had; 0 picks a free one.
    """
    [bound] = bind("127.0.0.1", port, twin=False)
    server = uvicorn.Server(
        uvicorn.Config(app, lifespan="on", access_log=False, log_config=None, timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, args=[[bound]], name="wan22-http")
    thread.start()
    try:
        while thread.is_alive() and not server.started:
            time.sleep(0.01)
        if not server.started:
            raise ServerFault("The server inside this process did not start.", hint="Run `wan22 doctor`.")
        yield url_of(bound)
    finally:
        server.should_exit = True
        thread.join()
        bound.close()

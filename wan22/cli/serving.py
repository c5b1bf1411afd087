"""Runs the server in this process: sockets, runtime, uvicorn, and a quiet end. Loaded only when a server is to run."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from contextlib import ExitStack
from types import FrameType

import typer
import uvicorn

from wan22.cli.address import noted
from wan22.cli.banner import announcement
from wan22.cli.connections import MAX_HEAD_BYTES, BoundedProtocol
from wan22.cli.listen import bind, url_of
from wan22.cli.local import log_to_stderr
from wan22.runtime import Runtime
from wan22.settings import Settings

CONNECTIONS_GRACE_S = 3  # for answers under way and event streams; the running task has its own setting


class _Announcing(uvicorn.Server):
    """Says where it listens, once it does."""

    home = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for line in announcement(sockets or [], self.home):
            typer.echo(line)


def run(settings: Settings, *, access_log: bool) -> None:
    """Serve until a signal, then stop in good order: no new connections, the running task finished or put back.

    Raises ConfigurationError if the address, the device or the home can't be had, StoreError or DiskFull if the home
    can't be used.
    """
    log_to_stderr(settings.log.level)
    signal.signal(signal.SIGTERM, _leave)
    with ExitStack() as closing:
        sockets = bind(settings.server.host, settings.server.port)
        for bound in sockets:
            closing.callback(bound.close)
        runtime = Runtime(settings)
        closing.callback(runtime.close)
        closing.enter_context(noted(settings.storage.home, url_of(sockets[0])))
        server = _Announcing(_config(runtime, access_log=access_log))
        server.home = str(settings.storage.home)
        try:
            server.run(sockets)
        except KeyboardInterrupt:  # uvicorn raises the signal again after it has shut down in good order
            logging.getLogger(__name__).info("The server has stopped.", extra={"action": "server.stopped"})


def _config(runtime: Runtime, *, access_log: bool) -> uvicorn.Config:
    return uvicorn.Config(
        runtime.app,
        http=BoundedProtocol,
        limit_concurrency=runtime.settings.server.max_connections,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        lifespan="on",
        access_log=access_log,
        log_config=None,
        timeout_graceful_shutdown=CONNECTIONS_GRACE_S,
        server_header=False,
    )


def _leave(signum: int, frame: FrameType | None) -> None:
    """SIGTERM before or after uvicorn has it in hand: leave by way of the cleanup, as after Ctrl+C."""
    sys.exit(0)

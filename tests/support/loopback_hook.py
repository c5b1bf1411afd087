"""A loopback address that takes POSTs: answers with the next of some statuses, or takes the bytes and never answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any

HANG = 0


class LoopbackHook:
    """What came in is in `taken`, in its order; statuses after the last given one are 200."""

    def __init__(self, statuses: Sequence[int]) -> None:
        self.taken: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self.statuses = list(statuses)
        self.released = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = hook.statuses.pop(0) if hook.statuses else 200
                hook.taken.put(json.loads(body))
                if status == HANG:
                    hook.released.wait()
                    return
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?key=s3cret"

    def next(self) -> dict[str, Any]:
        """The next that comes in."""
        return self.taken.get(timeout=30)


@contextmanager
def loopback_hook(*statuses: int) -> Iterator[LoopbackHook]:
    """Served from a thread until the block ends."""
    hook = LoopbackHook(statuses)
    thread = threading.Thread(target=hook.server.serve_forever)
    thread.start()
    try:
        yield hook
    finally:
        hook.released.set()
        hook.server.shutdown()
        thread.join()
        hook.server.server_close()

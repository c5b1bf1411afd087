"""Notes in a home where the server that holds it listens, so that other commands find it on any port."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wan22.cli.listen import url_at
from wan22.client import Client
from wan22.errors import Unauthorized, Wan22Error
from wan22.settings import Settings

NOTE = "server.json"


@contextmanager
def noted(home: Path, url: str) -> Iterator[None]:
    """Leave a note of `url` in `home` while the block runs."""
    note = home / NOTE
    part = note.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps({"url": url, "pid": os.getpid()}), "utf-8")
    part.replace(note)
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def find_server(settings: Settings) -> str | None:
    """The URL of a server that answers: the one that noted itself in the home, else one at the configured address."""
    urls = (_read(settings.storage.home), configured_url(settings))
    return next((url for url in urls if url and answers(url, settings)), None)


def configured_url(settings: Settings) -> str:
    """Where a server with these settings is reached from this machine."""
    return url_at(settings.server.host, settings.server.port)


def answers(url: str, settings: Settings) -> bool:
    """Whether a WAN22 server answers there, within two seconds a call; one that asks for another API key does too."""
    try:
        with Client(url, api_key=api_key_of(settings), timeout_s=2.0) as client:
            client.list(limit=1)
    except Unauthorized:
        return True
    except Wan22Error:
        return False
    return True


def api_key_of(settings: Settings) -> str | None:
    """The key in the clear."""
    return settings.server.api_key.get_secret_value() if settings.server.api_key else None


def _read(home: Path) -> str | None:
    try:
        note = json.loads((home / NOTE).read_text("utf-8"))
        return str(note["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no server, or one that died while writing: the configured address is tried then

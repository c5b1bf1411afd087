"""What the tests of the downloads share: a small model, a run against loopback hubs, and a clock that never waits."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from support.loopback_hub import REPOSITORY, LoopbackHub

from wan22.models.download import Download, Hub, HubSource, MirrorSource, Options, Source, choose, make_plan
from wan22.models.download.pace import Backoff, Clock

BIG = "transformer/model.safetensors"
SMALL = "transformer/config.json"
TOKEN = "hf_secret"
MODEL = {BIG: random.Random(1).randbytes(1_000_000), SMALL: b'{"layers": 2}\n'}


class SkippingClock:
    """A clock on which waiting takes no time and is remembered."""

    def __init__(self) -> None:
        self.at = 0.0
        self.waits: list[float] = []
        self._lock = threading.Lock()
        self.clock = Clock(lambda: self.at, self._wait)

    def _wait(self, event: threading.Event, seconds: float) -> bool:
        with self._lock:
            self.at += seconds
            self.waits.append(seconds)
        return event.is_set()


def hub_of(server: LoopbackHub, token: str | None = None) -> HubSource:
    return HubSource(REPOSITORY, server.endpoint, SecretStr(token) if token else None)


def mirror_of(server: LoopbackHub) -> MirrorSource:
    return MirrorSource(REPOSITORY, server.endpoint)


def options(**changes: Any) -> Options:
    """One file at a time, quick to lose patience, without waits."""
    settled = {"parallel": 1, "stall_s": 0.5, "clock": SkippingClock().clock, "backoff": Backoff(tries=3)}
    return Options(**(settled | changes))


def download_of(
    listed_by: LoopbackHub, target: Path, sources: Sequence[Source], settings: Options | None = None
) -> Download:
    listing = Hub(hub_of(listed_by), clock=SkippingClock().clock, stall_s=2).find_listing("main", target)
    return Download(make_plan(listing, choose(listing), target), sources, settings or options())


def fetch(listed_by: LoopbackHub, target: Path, sources: Sequence[Source], settings: Options | None = None) -> Download:
    """Run a download to its end."""
    download = download_of(listed_by, target, sources, settings)
    download.run()
    return download


def is_whole(target: Path, model: dict[str, bytes] = MODEL) -> bool:
    """Every file has its name and its content, and nothing of the way there is left."""
    parts = [path for path in target.rglob("*.part*") if path.is_file()]
    return not parts and all((target / path).read_bytes() == data for path, data in model.items())


def in_thread(act: Callable[[], Any]) -> tuple[threading.Thread, list[Exception]]:
    """`act` in a running thread, and the list that will have what it raises."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - the test that asked looks at it
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, raised

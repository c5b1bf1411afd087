"""A real server whose painter shows previews, and pages in a real browser that must not complain or leave the host."""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page

from wan22.cli.background import served
from wan22.orchestrator.party import RunResult
from wan22.queue.claim import Claim
from wan22.runtime import Runtime
from wan22.settings import load_settings
from wan22.tasks import Phase
from wan22.testing import Painter

CHROMIUM = os.environ.get("WAN22_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class PreviewingPainter(Painter):
    """Shows a preview before it paints, and a prompt that says so makes it fail."""

    def __call__(self, claim: Claim) -> RunResult:
        """As Painter's."""
        claim.reporter.phase(Phase.DENOISE)
        jpeg = io.BytesIO()
        Image.linear_gradient("L").resize((96, 54)).save(jpeg, "JPEG")
        claim.reporter.preview(jpeg.getvalue(), width=96, height=54)
        if claim.task.request.prompt == "fail":
            raise MemoryError("as the prompt asked")
        time.sleep(0.2)
        return super().__call__(claim)


@contextmanager
def open_studio(home: Path, port: int = 0, **server: Any) -> Iterator[str]:
    """URL of a server; a step takes 50 ms."""
    settings = load_settings(
        storage={"home": home, "min_free_bytes": 0},
        server={"shutdown_grace_s": 0, **server},
        models={"variant": "demo"},
    )
    runtime = Runtime(settings, painter=lambda outputs: PreviewingPainter(outputs, step_s=0.05))
    try:
        with served(runtime.app, port=port) as url:
            yield url
    finally:
        runtime.close()


@contextmanager
def open_page(chromium: Browser, studio: str, **options: Any) -> Iterator[Page]:
    """The dashboard, opened and live. Afterwards: no error in the console, no request to another host."""
    with chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}) as context:
        opened = context.new_page()
        complaints: list[str] = []
        hosts: set[str] = set()
        opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on("request", lambda request: hosts.add(request.url.split("/")[2] if "//" in request.url else ""))
        opened.goto(studio)
        opened.locator("#connection[data-state=live]").wait_for()
        yield opened
    answered = ("Failed to load resource", "WebSocket connection to")  # how Chromium logs a 4xx, or a lost server
    assert [text for text in complaints if not text.startswith(answered)] == []
    assert hosts - {""} == {studio.removeprefix("http://")}

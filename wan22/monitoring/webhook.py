"""Sends alerts to an address of the settings, from a thread of its own. What fails is tried again, then logged.

The address may hold a secret: no line of ours has it. Redirects are not followed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from queue import SimpleQueue

import httpx
from pydantic import SecretStr

from wan22.tasks import Event

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
WAITS_S = (2.0, 10.0, 60.0)
"""Before the second try, and the ones after it."""

MAX_WAITING = 100  # behind an address that does not answer
LEAVE_S = 2.0  # how long the end of the server waits for what is to be sent
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # what another try may cure


class Webhook:
    """POSTs events as JSON, in their order, each until it is taken or given up. `send` never waits and never raises."""

    def __init__(self, url: SecretStr, *, timeout_s: float = TIMEOUT_S, waits_s: Sequence[float] = WAITS_S) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._waits_s = waits_s
        self._waiting: SimpleQueue[Event | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to send what comes."""
        self._thread = threading.Thread(target=self._run, name="wan22-webhook", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Try what waits once more, for LEAVE_S seconds at most. A second call does nothing."""
        self._stopping.set()
        self._waiting.put(None)
        if self._thread:
            self._thread.join(LEAVE_S)
            self._thread = None

    def send(self, event: Event) -> None:
        """Have it sent soon."""
        if self._waiting.qsize() >= MAX_WAITING:
            _log_lost(event, f"{MAX_WAITING} others wait")
        else:
            self._waiting.put(event)

    def _run(self) -> None:
        with httpx.Client(timeout=self._timeout_s, headers={"User-Agent": "wan22"}) as client:
            while event := self._waiting.get():
                try:
                    self._deliver(client, event)
                except Exception:  # one event that can't be sent must not keep the next ones
                    logger.exception("An alert could not be sent.", extra={"action": "webhook.failed"})

    def _deliver(self, client: httpx.Client, event: Event) -> None:
        why = ""
        for wait_s in (0.0, *self._waits_s):
            if wait_s and self._stopping.wait(wait_s):
                break
            why, may_pass = self._post(client, event)
            if not why:
                return
            if not may_pass:
                break
        _log_lost(event, why)

    def _post(self, client: httpx.Client, event: Event) -> tuple[str, bool]:
        """Why it was not taken, and whether another try may help; an empty reason if it was."""
        message = event.model_dump(mode="json")
        try:
            with client.stream("POST", self._url.get_secret_value(), json=message) as answer:  # its body is not read
                code = answer.status_code
        except (httpx.HTTPError, OSError) as error:
            return type(error).__name__, True  # its text may have the address in it
        except (httpx.InvalidURL, ValueError) as error:
            return type(error).__name__, False
        if answer.is_success:
            return "", False
        return f"it answers {code}", code in _PASSING


def _log_lost(event: Event, why: str) -> None:
    logger.warning(
        "%s was not taken by alerts.webhook_url (%s). Check the address in the settings.",
        event.type.value,
        why,
        extra={"action": "webhook.lost"},
    )

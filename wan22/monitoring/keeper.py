"""Keeps the alerts: judges new facts every few seconds, and writes, tells and sends what follows from them.

What a rule finds is `findings`', and when that is an alert is `judge`'s.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from wan22.errors import DiskFull, NotFound, StoreError
from wan22.monitoring.facts import Facts
from wan22.monitoring.judge import Change, Key, Standing, judge
from wan22.monitoring.rules import Rule
from wan22.monitoring.webhook import Webhook
from wan22.queue.feed import Emit, Feed
from wan22.store import Store, Tables
from wan22.tasks import Alert, Event, EventType, Raised

logger = logging.getLogger(__name__)

EVERY_S = 5.0
KEPT = 1_000  # cleared alerts in the store
SHOWN = 100  # of them in a list


class Keeper:
    """The thread, and what callers ask of alerts. `gather` gives the facts of the moment."""

    def __init__(
        self,
        store: Store,
        feed: Feed,
        rules: tuple[Rule, ...],
        gather: Callable[[], Facts],
        *,
        webhook: Webhook | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._store = store
        self._feed = feed
        self.rules = rules
        self._gather = gather
        self._webhook = webhook
        self._every_s = every_s
        self._standings: Mapping[Key, Standing] | None = None  # None: those of the store are not read yet
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        if self._webhook:
            self._webhook.start()
        self._thread = threading.Thread(target=self._run, name="wan22-alerts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what is open stays open for the next start. A second call does nothing."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
            self._thread = None
        if self._webhook:
            self._webhook.stop()

    # For those who look

    def list(self, *, include_cleared: bool = False) -> tuple[Alert, ...]:
        """The open ones, newest first; with the last SHOWN cleared ones among them if asked for. Raises StoreError."""

        def work(tables: Tables) -> list[Alert]:
            return [*tables.alerts.open(), *(tables.alerts.cleared(limit=SHOWN) if include_cleared else ())]

        return tuple(sorted(self._store.read(work), key=lambda alert: -alert.id))

    def acknowledge(self, alert_id: str) -> Alert:
        """Note that a person has seen it; again is no error, and the first time stays.

        Raises NotFound for any string that is no alert's id, StoreError and DiskFull.
        """
        number = int(alert_id) if len(alert_id) < 19 and alert_id.isascii() and alert_id.isdigit() else 0

        def work(tables: Tables) -> Alert | None:
            tables.alerts.acknowledge(number, at=datetime.now(timezone.utc))
            return tables.alerts.find(number)

        found = self._store.write(work)
        if found is None:
            raise NotFound(f"There is no alert {alert_id!r:.40}.", hint="`GET /api/v1/dashboard/alerts` lists them.")
        return found

    # The thread

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self.look()
            except (StoreError, DiskFull) as error:
                logger.warning("Alerts could not be judged: %s", error, extra={"action": "alerts_failed"})
            except Exception:  # whatever one look meets, the next may not
                logger.exception("Alerts could not be judged.", extra={"action": "alerts_failed"})

    def look(self) -> None:
        """Judge once; what can't be written now is at the next look. Raises StoreError, DiskFull. For one thread."""
        facts = self._gather()
        before = self._remembered(facts.clock_s) if self._standings is None else self._standings
        verdict = judge(self.rules, facts, before)
        standings = dict(verdict.standings)
        self._standings = standings
        for change in verdict.changes:
            self._carry_out(change, facts.at)
            standings[change.key] = change.standing

    def _remembered(self, clock_s: float) -> dict[Key, Standing]:
        opened = self._store.read(lambda tables: tables.alerts.open())
        return {(alert.rule, alert.subject): Standing(True, clock_s) for alert in opened}

    def _carry_out(self, change: Change, at: datetime) -> None:
        raised = _raised(change, at)

        def work(tables: Tables, emit: Emit) -> Event | None:
            if raised:
                type, alert = EventType.ALERT_RAISED, tables.alerts.add(raised, keep=KEPT)
            else:
                type, alert = EventType.ALERT_CLEARED, tables.alerts.clear(*change.key, at=at)
            return emit(type, None, alert.model_dump(mode="json")) if alert else None

        event = self._feed.transact(work)
        if event:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        what, extra = f"{event.data['rule']} {event.data['subject']}", {"action": event.type.value}
        if event.type is EventType.ALERT_RAISED:
            logger.warning("%s: %s", what, event.data["detail"], extra=extra)
        else:
            logger.info("%s is over.", what, extra=extra)
        if self._webhook:
            self._webhook.send(event)


def _raised(change: Change, at: datetime) -> Raised | None:
    """The alert to raise; None if one is to be cleared."""
    if not (change.standing.is_open and change.rule and change.finding):
        return None
    return Raised(
        rule=change.rule.name,
        subject=change.finding.subject,
        severity=change.rule.severity,
        detail=change.finding.detail,
        value=change.finding.figure,
        raised_at=at,
    )

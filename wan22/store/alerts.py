"""The table of alerts: rows to `Alert` and back. When to raise and to clear one is monitoring's."""

from __future__ import annotations

from datetime import datetime

from wan22.store.table import Table
from wan22.tasks import Alert, Raised


class AlertTable(Table):
    """Open ones, and the newest of those that were cleared."""

    def add(self, raised: Raised, *, keep: int) -> Alert | None:
        """The new alert; None if that rule has an open one of the subject. Of the cleared the newest `keep` stay."""
        row = self._one("add_alert", **{**dict(raised), "raised_at": raised.raised_at.isoformat()})
        self._change("drop_alerts", keep=keep)
        return Alert.model_validate(dict(row)) if row else None

    def find(self, alert_id: int) -> Alert | None:
        """The alert of that id."""
        row = self._one("find_alert", alert_id=alert_id)
        return Alert.model_validate(dict(row)) if row else None

    def open(self) -> list[Alert]:
        """Those that are not cleared, newest first."""
        return [Alert.model_validate(dict(row)) for row in self._all("open_alerts")]

    def cleared(self, *, limit: int) -> list[Alert]:
        """Those that are, newest first."""
        return [Alert.model_validate(dict(row)) for row in self._all("cleared_alerts", limit=limit)]

    def clear(self, rule: str, subject: str, *, at: datetime) -> Alert | None:
        """The open alert of that rule and subject, which is over now; None if there is none."""
        row = self._one("clear_alert", rule=rule, subject=subject, at=at.isoformat())
        return Alert.model_validate(dict(row)) if row else None

    def acknowledge(self, alert_id: int, *, at: datetime) -> None:
        """Note that a person has seen it; the first time counts."""
        self._change("acknowledge_alert", alert_id=alert_id, at=at.isoformat())

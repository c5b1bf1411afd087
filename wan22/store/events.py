"""The table of durable events: rows to `Event` and back. Their ids, and who hears of them, are the queue's."""

from __future__ import annotations

import json
import sqlite3

from wan22.store.table import Table
from wan22.tasks import Event


def _event(row: sqlite3.Row) -> Event:
    return Event.model_validate({**dict(row), "data": json.loads(row["data"])})


class EventTable(Table):
    """What happened, in the order of ids."""

    def add(self, event: Event) -> None:
        """Keep it; its id must be new."""
        self._change(
            "add_event",
            id=event.id,
            type=event.type.value,
            task_id=event.task_id,
            at=event.at.isoformat(),
            data=json.dumps(event.data),
        )

    def between(self, after: int, until: int, *, task_id: str | None = None, limit: int) -> list[Event]:
        """The oldest `limit` events with after < id <= until, of one task or of all, ascending."""
        bounds = {"after": after, "until": until, "limit": limit}
        if task_id is None:
            rows = self._all("events_between", **bounds)
        else:
            rows = self._all("events_of_task_between", task_id=task_id, **bounds)
        return [_event(row) for row in rows]

    def remove_of(self, task_id: str) -> None:
        """Forget what happened to one task."""
        self._change("remove_events_of_task", task_id=task_id)

    def prune(self, *, keep: int) -> int:
        """Drop all but the newest `keep`; how many went."""
        return self._change("prune_events", keep=keep)

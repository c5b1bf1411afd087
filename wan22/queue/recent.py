"""What the feed remembers in memory: the newest durable events, and the latest progress and preview of each task, and
the latest news of each model's download.

Bounded whatever is published. Older durable events are in the store; older progress is of no use to anybody.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import takewhile

from wan22.tasks import Event, EventType

LATEST_KEPT = 256  # far more than tasks ever run at once

_OF_A_RUN = (EventType.TASK_PROGRESS, EventType.TASK_PREVIEW)


class Recent:
    """Everything durable after `floor`, up to `horizon`. Not thread safe: the feed's lock guards it."""

    def __init__(self, *, start: int, size: int) -> None:
        self.floor = start
        self.horizon = start  # id of the last event
        self._size = size
        self._durable: deque[Event] = deque()
        self._latest: OrderedDict[tuple[str | None, EventType], Event] = OrderedDict()

    def add(self, event: Event) -> None:
        """The newest event; its id must be over the horizon."""
        self.horizon = event.id
        if event.type.is_durable:
            self._add_durable(event)
        else:
            key = (event.task_id or event.data.get("model_type"), event.type)
            self._latest[key] = event
            self._latest.move_to_end(key)
            if len(self._latest) > LATEST_KEPT:
                self._latest.popitem(last=False)

    def durable_after(self, after: int) -> list[Event]:
        """The durable events with a greater id, ascending; all there are if `after` is not under the floor."""
        return [*takewhile(lambda event: event.id > after, reversed(self._durable))][::-1]

    def latest_between(self, after: int, until: int) -> list[Event]:
        """The latest progress, previews and downloads with after < id <= until."""
        return [event for event in self._latest.values() if after < event.id <= until]

    def forget(self, task_id: str, *, before: int | None) -> None:
        """Drop what is known of a task, from before an event id or altogether."""
        end = self.horizon + 1 if before is None else before
        self._durable = deque(event for event in self._durable if event.task_id != task_id or event.id >= end)
        self._forget_run(task_id)

    def _add_durable(self, event: Event) -> None:
        if event.type.is_terminal or event.type is EventType.TASK_QUEUED:  # ended, or put back in the queue
            self._forget_run(event.task_id)
        self._durable.append(event)
        if len(self._durable) > self._size:
            self.floor = self._durable.popleft().id

    def _forget_run(self, task_id: str | None) -> None:
        for type in _OF_A_RUN:
            self._latest.pop((task_id, type), None)

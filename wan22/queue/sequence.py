"""Gives out event ids, and lets events go in the order of their ids though some still wait for their commit.

Without it a reader could see event 8 before 7 is committed, reconnect after 8, and never hear of 7.
"""

from __future__ import annotations

from collections import OrderedDict

from wan22.tasks import Event

BOOT_SHIFT = 32
"""An id is the number of the server's start in the high half and a counter in the low: it grows across restarts
without a write for each event, and stays an exact number in JavaScript for two million starts."""


class Sequence:
    """Not thread safe: the feed's lock guards it."""

    def __init__(self, boot_id: int) -> None:
        self.start = boot_id << BOOT_SHIFT
        self.upcoming = self.start + 1  # the id that `reserve` gives next
        self._waiting: OrderedDict[int, tuple[bool, Event | None]] = OrderedDict()  # id -> (is settled, event)

    def reserve(self) -> int:
        """The next id; whatever comes of it must be told to `settle`, or no later event is ever let go."""
        event_id = self.upcoming
        self.upcoming += 1
        self._waiting[event_id] = (False, None)
        return event_id

    def settle(self, event_id: int, event: Event | None) -> list[Event]:
        """The id's event has happened, or, if None, was undone. Gives the events that may go now, in order."""
        self._waiting[event_id] = (True, event)
        free = []
        while self._waiting:
            first = next(iter(self._waiting))
            is_settled, waiting = self._waiting[first]
            if not is_settled:
                break
            del self._waiting[first]
            if waiting is not None:
                free.append(waiting)
        return free

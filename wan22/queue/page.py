"""One page of the list of tasks, and the cursor that leads to the next."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from wan22.errors import InvalidRequest
from wan22.tasks import Task

MAX_LIMIT = 100


@dataclass(frozen=True)
class Page:
    """Some tasks, newest first; `next_cursor` is None on the last page."""

    tasks: tuple[Task, ...]
    next_cursor: str | None


def cursor_after(seq: int) -> str:
    """The cursor of the tasks older than the one with this sequence number, which may be deleted meanwhile."""
    return base64.urlsafe_b64encode(seq.to_bytes(8, "big")).rstrip(b"=").decode("ascii")


def seq_in(cursor: str) -> int:
    """The sequence number that `cursor_after` hid. InvalidRequest for anything that it did not make."""
    try:
        seq = int.from_bytes(base64.urlsafe_b64decode(f"{cursor}="), "big", signed=True)
        is_ours = cursor_after(seq) == cursor
    except (ValueError, OverflowError):
        is_ours = False
    if not is_ours:
        raise InvalidRequest.of("cursor", "is none of this server's; leave it out to begin with the newest.", cursor)
    return seq


def checked_limit(limit: int) -> int:
    """The limit, if it is from 1 to MAX_LIMIT. InvalidRequest otherwise."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest.of("limit", f"must be from 1 to {MAX_LIMIT}.", limit)
    return limit

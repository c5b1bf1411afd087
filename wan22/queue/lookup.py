"""Finds a task by whatever string a caller sent as its id."""

from __future__ import annotations

import re

from wan22.errors import NotFound
from wan22.store import Tables
from wan22.tasks import Task

_TASK_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def known_id(task_id: str) -> str:
    """The id, if it has the form of one; NotFound otherwise, so that no odd string comes near the store."""
    if not _TASK_ID.fullmatch(task_id):
        raise NotFound("There is no task with this id; the list of tasks shows those that exist.")
    return task_id


def get_task(tables: Tables, task_id: str) -> Task:
    """The record as it is now. Raises NotFound, for any string."""
    task = tables.tasks.find(known_id(task_id))
    if task is None:
        raise NotFound(f"There is no task {task_id}, or no longer; the list of tasks shows those that exist.")
    return task

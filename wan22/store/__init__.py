"""SQLite behind one writer thread: tasks, events and the number of starts.

`store` opens and closes, `tasks`, `events` and `meta` are the tables, `queries.sql` is everything that is said to
SQLite, `migrations/` its schema step by step. Changing a task's status is the queue's alone.
"""

from wan22.store.store import Store, Tables
from wan22.store.tasks import Listed, Recovered, Submitted, TaskTable, Waiting

__all__ = ["Listed", "Recovered", "Store", "Submitted", "Tables", "TaskTable", "Waiting"]

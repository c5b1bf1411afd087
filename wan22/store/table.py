"""What the tables have in common: they run named statements on the connection of the moment. Owns no SQL."""

from __future__ import annotations

import sqlite3
from typing import Any

from wan22.store.statements import STATEMENTS


class Table:
    """Bound to one connection for one closure on the store's thread; never kept."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _all(self, statement: str, **values: Any) -> list[sqlite3.Row]:
        return self._connection.execute(STATEMENTS[statement], values).fetchall()

    def _one(self, statement: str, **values: Any) -> sqlite3.Row | None:
        rows = self._all(statement, **values)
        return rows[0] if rows else None

    def _change(self, statement: str, **values: Any) -> int:
        """Number of rows that the statement changed."""
        return self._connection.execute(STATEMENTS[statement], values).rowcount

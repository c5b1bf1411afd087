"""The table of the few facts about the data folder itself."""

from __future__ import annotations

from wan22.store.table import Table


class MetaTable(Table):
    """How often the server has started on this database."""

    def next_boot(self) -> int:
        """The number of this start, from 1; call it once in each."""
        row = self._one("next_boot")
        assert row is not None  # noqa: S101 - the statement inserts the row or updates it
        return int(row["value"])

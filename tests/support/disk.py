"""A disk that is full when a test says so: SQLite's own limit on the pages of a file stands in for it."""

from __future__ import annotations

from wan22.store.database import Database


class SmallDisk:
    """The disk of one database, and a reserve on it that gives some space when dropped, as a ballast file does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.has_reserve = True

    def hold(self, pages: int) -> None:
        """From now on there is room for that many pages."""
        self._database.read(lambda connection: connection.execute("PRAGMA max_page_count = " + str(pages)))

    def drop(self) -> bool:
        """Give up the reserve; False if it is gone."""
        if not self.has_reserve:
            return False
        self.has_reserve = False
        self.hold(10_000)
        return True

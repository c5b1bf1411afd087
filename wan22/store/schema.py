"""Brings a database to the schema that this version knows, one numbered script after the other.

Each script is a whole transaction that ends by writing its number to `user_version`, so a crash between two scripts
leaves a database that the next start takes further.
"""

from __future__ import annotations

import sqlite3
from importlib.resources import files

from wan22.errors import ConfigurationError

OLDEST_SQLITE = (3, 37, 0)  # STRICT tables; RETURNING came with 3.35


def _scripts() -> list[tuple[int, str]]:
    """Number and text of every migration, ascending."""
    found = (entry for entry in files("wan22.store.migrations").iterdir() if entry.name.endswith(".sql"))
    return sorted((int(entry.name[:4]), entry.read_text(encoding="utf-8")) for entry in found)


def version_of(connection: sqlite3.Connection) -> int:
    """Number of the last migration that was run; 0 for an empty database."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Run what is missing.

    Raises ConfigurationError if a newer version of the server made the database, or if SQLite itself is too old.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise ConfigurationError(
            f"This Python brings SQLite {sqlite3.sqlite_version}; {wanted} is the oldest that works. "
            "Install a newer Python."
        )
    scripts = _scripts()
    present, newest = version_of(connection), scripts[-1][0]
    if present > newest:
        raise ConfigurationError(
            f"The task database has schema {present}, and this server knows up to {newest}: a newer one made it. "
            "Install that version again, or name another folder with WAN22_HOME."
        )
    for number, script in scripts:
        if number > present:
            connection.executescript(script)

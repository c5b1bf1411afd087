"""Migrations bring any older database to the present schema, and refuse one from the future."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from wan22.errors import ConfigurationError
from wan22.store import Store
from wan22.store.schema import migrate, version_of

SCRIPTS = sorted(entry.name for entry in files("wan22.store.migrations").iterdir() if entry.name.endswith(".sql"))


def test_scripts_are_numbered_without_gaps() -> None:
    assert [int(name[:4]) for name in SCRIPTS] == list(range(1, len(SCRIPTS) + 1))


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_is_one_transaction_that_notes_its_number(name: str) -> None:
    text = files("wan22.store.migrations").joinpath(name).read_text("utf-8")
    assert text.count("BEGIN IMMEDIATE;") == 1
    assert text.rstrip().endswith(f"PRAGMA user_version = {int(name[:4])};\n\nCOMMIT;")


def test_migrating_again_changes_nothing() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        assert version_of(connection) == 0
        for _ in range(2):
            migrate(connection)
            assert version_of(connection) == len(SCRIPTS)


def test_every_table_is_strict() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        tables = connection.execute("PRAGMA table_list").fetchall()
    assert all(row[5] for row in tables if not row[1].startswith("sqlite_"))


def test_a_database_from_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "wan22.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    with pytest.raises(ConfigurationError, match="schema 999"):
        Store.open(path)
    with closing(sqlite3.connect(path)) as connection:
        assert version_of(connection) == 999


def test_pictures_of_tasks_from_before_they_were_noted_are_noted() -> None:
    """A record that is no JSON, which nothing of ours writes, must not keep the server from starting."""
    script = files("wan22.store.migrations").joinpath(SCRIPTS[0]).read_text("utf-8")
    row = "'queued', 0, 'I2V-A14B', 'p', 1, '', ?, '{}', '[]', '{}', '[]', 'now'"
    names = "id, status, priority, model_type, pace, work, fingerprint, request, plan, outputs, timings, fallbacks"
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(script)
        for task_id, request in (("a", '{"image": {"id": "upl_1"}, "last_image": null}'), ("b", "{}"), ("c", "broken")):
            connection.execute(f"INSERT INTO tasks ({names}, created_at) VALUES ('{task_id}', {row})", [request])
        migrate(connection)
        noted = connection.execute("SELECT id, image_id, last_image_id FROM tasks ORDER BY seq").fetchall()
    assert noted == [("a", "upl_1", None), ("b", None, None), ("c", None, None)]

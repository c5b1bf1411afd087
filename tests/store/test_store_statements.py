"""The document of SQL is whole, every statement compiles and is used, and the hot ones go by an index."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from store_kit import bare_connection

import wan22.store
from wan22.store.statements import STATEMENTS, parse_statements

BY_INDEX = {
    "find_task": "sqlite_autoindex_tasks_1",
    "find_task_by_key": "tasks_by_key",
    "refers_to_upload": "tasks_by_last_image (last_image_id=?)",
    "move_task": "sqlite_autoindex_tasks_1",
    "claim": "sqlite_autoindex_tasks_1",
    "heartbeat": "sqlite_autoindex_tasks_1",
    "waiting": "COVERING INDEX tasks_waiting",
    "count_waiting": "tasks_waiting",
    "count_by_status": "COVERING INDEX tasks_by_status",
    "recover_cancelled": "tasks_running",
    "recover_failed": "tasks_running",
    "recover_queued": "tasks_running",
    "list_tasks": "INTEGER PRIMARY KEY",
    "list_tasks_by_status": "tasks_by_status (status=? AND seq<?)",
    "list_tasks_by_model": "tasks_by_model (model_type=? AND seq<?)",
    "list_tasks_by_status_and_model": "tasks_by_status_and_model (status=? AND model_type=? AND seq<?)",
    "history": "tasks_by_model (model_type=?)",
    "events_between": "INTEGER PRIMARY KEY",
    "events_of_task_between": "events_by_task",
    "open_alerts": "alerts_open",
    "clear_alert": "alerts_open",
    "remove_events_of_task": "events_by_task",
}
"""Every statement that a request, a claim or a start waits for, and the index that it must use."""


def query_plan(name: str) -> str:
    with bare_connection() as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {STATEMENTS[name]}", defaultdict(int)).fetchall()
    return "\n".join(row[3] for row in rows)


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_every_statement_compiles_against_the_schema(name: str) -> None:
    query_plan(name)


@pytest.mark.parametrize(("name", "index"), BY_INDEX.items())
def test_hot_statements_go_by_their_index(name: str, index: str) -> None:
    plan = query_plan(name)
    assert index in plan
    assert not re.search(r"SCAN (tasks|events)$", plan, re.MULTILINE)


@pytest.mark.parametrize("name", ["waiting", "list_tasks", "list_tasks_by_status", "history", "events_between"])
def test_what_is_ordered_is_read_in_order(name: str) -> None:
    assert "TEMP B-TREE" not in query_plan(name)


def test_every_statement_is_used_and_every_use_has_its_statement() -> None:
    sources = [path.read_text("utf-8") for path in Path(wan22.store.__file__).parent.glob("*.py")]
    used = {name for source in sources for name in re.findall(r'(?:_all|_one|_change|_recover)\(\s*"(\w+)"', source)}
    listed = {name for name in STATEMENTS if name.startswith("list_")}  # chosen by their filters
    assert used | listed == set(STATEMENTS)


def test_python_says_nothing_to_sqlite_by_itself() -> None:
    """But for what is no statement on data: pragmas and the ends of a transaction."""
    for path in Path(wan22.store.__file__).parent.glob("*.py"):
        said = re.findall(r'execute\(\s*f?"(\w+)', path.read_text("utf-8"))
        assert set(said) <= {"PRAGMA", "BEGIN", "COMMIT", "ROLLBACK"}


def test_statements_are_parsed_by_their_headings() -> None:
    parsed = parse_statements("-- preface\n-- name: one\n-- why\nSELECT 1\n\n-- name: two\nSELECT 2\n")
    assert parsed == {"one": "-- why\nSELECT 1", "two": "SELECT 2"}


def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        parse_statements("-- name: one\nSELECT 1\n-- name: one\nSELECT 2\n")

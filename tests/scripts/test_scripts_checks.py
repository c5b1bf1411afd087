"""What scripts/test.py runs, and that nothing is left out in silence."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from browser import VARIABLE
from checks import run_steps, steps, summary
from commands import Answer
from fake_commands import FakeCommands

ROOT = Path(__file__).parents[2]


def pytest_line(**options: object) -> str:
    return " ".join(steps(**{"everything": False, "chromium": "/usr/bin/chromium", **options})[-1].args)


def test_all_four_checks_run_over_the_whole_tree() -> None:
    assert [step.name for step in steps(everything=False, chromium=None)] == [
        "ruff check",
        "ruff format",
        "mypy",
        "pytest",
    ]


@pytest.mark.parametrize(
    ("options", "marks"),
    [
        ({}, "-m not slow"),
        ({"chromium": None}, "-m not slow and not browser"),
        ({"everything": True, "chromium": None}, "-m not browser"),
    ],
)
def test_marks_leave_out_what_can_not_or_shall_not_run(options: dict[str, object], marks: str) -> None:
    assert pytest_line(**options).endswith(marks)


def test_everything_is_everything() -> None:
    assert "-m" not in pytest_line(everything=True).split()


def test_further_arguments_go_to_pytest_and_win() -> None:
    assert pytest_line(pytest_args=["-n", "0", "-k", "queue"]).endswith("-n 0 -k queue")


def test_the_browser_is_named_to_the_tests() -> None:
    assert steps(everything=False, chromium="/usr/bin/chromium")[-1].env == {VARIABLE: "/usr/bin/chromium"}


def test_a_failure_does_not_hide_the_checks_after_it() -> None:
    commands = FakeCommands({"mypy": Answer(1), "-m": Answer(0)})
    ended = run_steps(commands, Path("python"), steps(everything=False, chromium=None))
    assert [passed for _, passed, _ in ended] == [True, True, False, True]
    assert len(commands.done) == 4


def test_the_table_names_failures_and_what_was_left_out() -> None:
    text = "\n".join(summary([("mypy", False, 1.5), ("pytest", True, 60.0)], ["browser tests, for want of a browser."]))
    assert "mypy         FAILED     1.5 s" in text
    assert "LEFT OUT: browser tests" in text


def test_the_entry_of_the_build_machines_runs_this_script() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "exec python3 scripts/test.py" in script.read_text()
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0

"""Running programs: what they answer, and that a missing or a slow one is an answer, too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from commands import NOT_FOUND, TIMED_OUT, RealCommands


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_an_answer_has_code_and_both_outputs(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd()); print('bad', file=sys.stderr); sys.exit(3)"
    answer = RealCommands(tmp_path).ask(python(code))
    assert (answer.code, answer.out.strip(), answer.err.strip()) == (3, str(tmp_path), "bad")
    assert not answer.ok


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    assert RealCommands(tmp_path).ask(python("import sys; sys.stdout.buffer.write(b'\\xff')")).ok


@pytest.mark.parametrize("how", ["ask", "do"])
def test_a_missing_program_is_an_answer(tmp_path: Path, how: str) -> None:
    assert getattr(RealCommands(tmp_path), how)(["no-such-program"]).code == NOT_FOUND


def test_a_program_without_end_is_an_answer(tmp_path: Path) -> None:
    assert RealCommands(tmp_path).ask(python("import time; time.sleep(60)"), timeout_s=0.2).code == TIMED_OUT


def test_shown_programs_get_the_added_environment(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert RealCommands(tmp_path).do(python("import os; print(os.environ['ADDED'])"), env={"ADDED": "yes"}).ok
    assert capfd.readouterr().out == "yes\n"


def test_a_logged_program_is_kept_told_and_quoted(tmp_path: Path) -> None:
    told: list[str] = []
    code = "import sys; [print(i) for i in range(50)]; sys.stdout.flush(); print('bad', file=sys.stderr); sys.exit(1)"
    answer = RealCommands(tmp_path).log(python(code), into=tmp_path / "log", tell=told.append)
    assert told == [*map(str, range(50)), "bad"]
    assert (tmp_path / "log").read_text().split() == told
    assert answer.out.split() == told[-20:]
    assert not answer.ok

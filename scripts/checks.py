"""The steps of `scripts/test.py`: environment, browser, ruff, mypy, pytest, and one table of how they ended."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from browser import VARIABLE, System, how_to_get_chromium, provide_chromium
from commands import Commands, RealCommands, SetupFailed
from environment import Checkout, Setup, prepare
from gpu import find_gpu

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = frozenset({"test"})
WORKERS = "2"  # pytest processes: a fifth faster than one on two busy cores; a `-n` given by hand wins


@dataclass(frozen=True)
class Step:
    """One check: its name, the module that `python -m` runs, and the arguments."""

    name: str
    args: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)


def steps(*, everything: bool, chromium: str | None, pytest_args: Sequence[str] = ()) -> list[Step]:
    """What to run, the quick checks first. Slow tests only with `everything`, browser tests only with a browser."""
    left_out = [*([] if everything else ["not slow"]), *([] if chromium else ["not browser"])]
    marks = ("-m", " and ".join(left_out)) if left_out else ()
    return [
        Step("ruff check", ("ruff", "check", ".")),
        Step("ruff format", ("ruff", "format", "--check", ".")),
        Step("mypy", ("mypy",)),
        Step("pytest", ("pytest", "-n", WORKERS, *marks, *pytest_args), {VARIABLE: chromium} if chromium else {}),
    ]


def run_steps(commands: Commands, python: Path, todo: Sequence[Step]) -> list[tuple[str, bool, float]]:
    """Run all, also after a failure: name, whether it passed, seconds."""
    ended = []
    for step in todo:
        print(f"\n== {step.name}", flush=True)
        started = time.monotonic()
        answer = commands.do([str(python), "-m", *step.args], env=step.env)
        ended.append((step.name, answer.ok, time.monotonic() - started))
    return ended


def summary(ended: Sequence[tuple[str, bool, float]], left_out: Sequence[str]) -> list[str]:
    """The table at the end, and below it what did not run."""
    table = [f"  {name:12} {'passed' if passed else 'FAILED'}  {seconds:6.1f} s" for name, passed, seconds in ended]
    return ["", *table, *(f"  LEFT OUT: {line}" for line in left_out)]


def main(argv: Sequence[str] | None = None) -> int:
    """Run all checks; the exit code, 0 only if all passed."""
    parser = argparse.ArgumentParser(
        prog="test.py", description="Lint, types and tests, in .venv.", epilog="Other arguments go to pytest."
    )
    parser.add_argument("--all", action="store_true", help="the slow tests, too: minutes more")
    options, pytest_args = parser.parse_known_args(argv)
    commands, system = RealCommands(ROOT), System()
    try:
        python = prepare(Setup(Checkout(ROOT), commands, _say, find_gpu(commands), EXTRAS))
    except SetupFailed as failure:
        print(f"\n{failure}")
        return 1
    chromium = provide_chromium(system, commands, _say)
    todo = steps(everything=options.all, chromium=chromium, pytest_args=pytest_args)
    left_out = [*([] if options.all else ["slow tests; --all runs them."])]
    left_out += [] if chromium else [f"browser tests, for want of a browser. {how_to_get_chromium(system)}"]
    for line in left_out:
        _say(f"Left out: {line}")
    ended = run_steps(commands, python, todo)
    print("\n".join(summary(ended, left_out)), flush=True)
    return 0 if all(passed for _, passed, _ in ended) else 1


def _say(line: str) -> None:
    print(f"-> {line}", flush=True)

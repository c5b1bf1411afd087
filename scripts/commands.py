"""Runs other programs and says what they answered. Decides nothing; tests put their own `Commands` in its place."""

from __future__ import annotations

import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

LAST_LINES = 20
NOT_FOUND = 127  # what shells answer for a program that is not there
TIMED_OUT = 124


class SetupFailed(Exception):
    """Nothing more can be done; the sentence says why and ends in the cure."""


@dataclass(frozen=True)
class Answer:
    """How a program ended: its exit code, and what it wrote where that was captured."""

    code: int
    out: str = ""
    err: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.code == 0


Tell = Callable[[str], None]


class Commands(Protocol):
    """Runs programs."""

    def ask(self, args: Sequence[str], *, timeout_s: float = 60) -> Answer:
        """Run and capture; a missing program or a timeout is an answer, too."""
        ...

    def do(self, args: Sequence[str], *, env: Mapping[str, str] | None = None) -> Answer:
        """Run with its output on this terminal; `env` is added to the environment."""
        ...

    def log(self, args: Sequence[str], *, into: Path, tell: Tell, env: Mapping[str, str] | None = None) -> Answer:
        """Run with its output, both kinds, appended to a file, and line by line to `tell`; the answer has its end."""
        ...


class RealCommands:
    """`Commands` of this machine, run in one folder."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = folder

    def ask(self, args: Sequence[str], *, timeout_s: float = 60) -> Answer:
        """Run and capture; a missing program or a timeout is an answer, too."""
        try:
            ended = subprocess.run(
                args, cwd=self._folder, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
            )
        except OSError as error:
            return Answer(NOT_FOUND, err=str(error))
        except subprocess.TimeoutExpired:
            return Answer(TIMED_OUT, err=f"no answer within {timeout_s:g} s")
        return Answer(ended.returncode, ended.stdout, ended.stderr)

    def do(self, args: Sequence[str], *, env: Mapping[str, str] | None = None) -> Answer:
        """Run with its output on this terminal; `env` is added to the environment."""
        try:
            ended = subprocess.run(args, cwd=self._folder, env={**os.environ, **(env or {})}, check=False)
        except OSError as error:
            return Answer(NOT_FOUND, err=str(error))
        return Answer(ended.returncode)

    def log(self, args: Sequence[str], *, into: Path, tell: Tell, env: Mapping[str, str] | None = None) -> Answer:
        """Run with its output, both kinds, appended to a file, and line by line to `tell`; the answer has its end."""
        end: deque[str] = deque(maxlen=LAST_LINES)
        with (
            into.open("a", encoding="utf-8") as file,
            subprocess.Popen(
                args,
                cwd=self._folder,
                env={**os.environ, **(env or {})},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process,
        ):
            for line in process.stdout or ():
                file.write(line)
                end.append(line)
                tell(line.rstrip())
        return Answer(process.returncode, "".join(end))

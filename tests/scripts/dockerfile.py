"""As much of a Dockerfile and of .dockerignore as ours use: stages, instructions, and which files a COPY sees."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """One FROM: its name, what it builds on, and its instructions as (word, rest) in order."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [rest for found, rest in self.steps if found == word]


def parse(text: str) -> dict[str, Stage]:
    """The stages by name; comments dropped, continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    stages: dict[str, Stage] = {}
    for line in filter(str.strip, joined.splitlines()):
        word, rest = line.split(None, 1)
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages[name] = current = Stage(name, base)
        else:
            current.steps.append((word, rest))
    return stages


def target(stages: dict[str, Stage], name: str) -> Stage:
    """A stage with the steps of those it builds on before its own."""
    stage = stages[name]
    if stage.base not in stages:
        return stage
    below = target(stages, stage.base)
    return Stage(name, below.base, below.steps + stage.steps)


def is_ignored(path: str, patterns: list[str]) -> bool:
    """Whether .dockerignore keeps a file (relative, with /) out of the build; the last pattern that matches decides."""
    ignored = False
    for pattern in patterns:
        body = re.escape(pattern.lstrip("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if re.match(f"{body}(?:/|$)", path):
            ignored = not pattern.startswith("!")
    return ignored


def patterns(text: str) -> list[str]:
    """The patterns of a .dockerignore."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def visible(root: Path, ignore: list[str], source: str) -> list[Path]:
    """The files that a COPY of `source` takes."""
    found = [root / source] if (root / source).is_file() else sorted((root / source).rglob("*"))
    return [file for file in found if file.is_file() and not is_ignored(file.relative_to(root).as_posix(), ignore)]

"""One thing that `doctor` found: whether it is well, and the cure if it is not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from wan22.errors import Wan22Error

State = Literal["ok", "warn", "fail"]
GB = 1_000_000_000


@dataclass(frozen=True)
class Finding:
    """`warn` works less well than it could; `fail` keeps the server from working. `cure` is empty when all is well."""

    name: str
    state: State
    text: str
    cure: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same as a mapping."""
        return asdict(self)


def ok(name: str, text: str) -> Finding:
    """All is well."""
    return Finding(name, "ok", text)


def warn(name: str, text: str, cure: str) -> Finding:
    """It works, less well than it could."""
    return Finding(name, "warn", text, cure)


def fail(name: str, text: str, cure: str) -> Finding:
    """The server can't work so."""
    return Finding(name, "fail", text, cure)


def failed_by(name: str, error: Wan22Error) -> Finding:
    """What one of our errors says; it ends in its own cure."""
    return fail(name, error.detail, error.hint)

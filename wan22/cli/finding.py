"""One thing that `doctor` found: whether it is well, and the cure if it is not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from wan22.errors import Wan22Error

State = Literal["ok", "warn", "fail"]
GB = 1_000_000_000
MB = 1_000_000


@dataclass(frozen=True)
class Finding:
    """`warn` works less well than it could, `fail` keeps the server from working; `cure` is what can be done."""

    name: str
    state: State
    text: str
    cure: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same as a mapping."""
        return asdict(self)


def ok(name: str, text: str, cure: str = "") -> Finding:
    """All is well; `cure` may tell what more could be had."""
    return Finding(name, "ok", text, cure)


def warn(name: str, text: str, cure: str) -> Finding:
    """It works, less well than it could."""
    return Finding(name, "warn", text, cure)


def fail(name: str, text: str, cure: str) -> Finding:
    """The server can't work so."""
    return Finding(name, "fail", text, cure)


def failed_by(name: str, error: Wan22Error) -> Finding:
    """What one of our errors says; it ends in its own cure."""
    return fail(name, error.detail, error.hint)


def size_words(size_bytes: int) -> str:
    """Bytes as people say them, in GB, MB or kB."""
    if size_bytes >= GB:
        return f"{size_bytes / GB:.1f} GB"
    return f"{size_bytes / MB:.1f} MB" if size_bytes >= MB else f"{size_bytes / 1000:.1f} kB"


def time_words(seconds: float) -> str:
    """Seconds as people say them: rounded to hours and minutes from two hours on, and to minutes from two on."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 120:
        return f"about {minutes // 60} h {minutes % 60} min"
    return f"about {minutes} min" if minutes >= 2 else f"about {60 * minutes + rest} s"

"""Which names of a listing may become files here: they come from another machine and are never trusted.

Two questions: is the name an attack, or one that some system can't hold (`fault_of`), and is it of a kind that we
fetch (`is_fetched`). The answers are the same on every system, so that a folder can be carried from one to another.
"""

from __future__ import annotations

import re

PART = ".part"
RECORD = ".part.json"

_SAFE_KINDS = (".safetensors", ".gguf", ".json", ".txt", ".model", ".md", ".jinja")
# Reading one of these runs the code that its author put in.
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")

_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"]
    + [f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"]
)  # what Windows opens in the place of a file, with any ending
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')  # by Windows, or part of a path there
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+=@()\[\],-]*")
_MAX_PART = 200  # of a name between slashes; most systems stop at 255, and ours have endings
_MAX_PATH = 400


def fault_of(path: str) -> str | None:
    """Why the name is not to be used at all, in words; None for an honest one."""
    if not path or len(path) > _MAX_PATH:
        return "it is empty or too long"
    if _FORBIDDEN.search(path):
        return "it has a backslash, a colon or another character that no file name may have"
    return next((fault for part in path.split("/") if (fault := _fault_of_part(part))), None)


def is_fetched(path: str) -> bool:
    """True for weights and texts that are safe to read. Hidden files and what is no plain English name is left out."""
    parts = path.split("/")
    known = path.lower().endswith(_SAFE_KINDS) and not path.lower().endswith(RECORD)
    return known and all(_PLAIN.fullmatch(part) for part in parts)


def is_pickle(path: str) -> bool:
    """True for weights that can carry code, which are never fetched."""
    return path.lower().endswith(_PICKLES)


def _fault_of_part(part: str) -> str | None:
    if part in ("", ".", ".."):
        return "it leads out of its folder, or nowhere"
    if len(part) > _MAX_PART:
        return "it is too long"
    if part != part.strip() or part.endswith("."):
        return "it begins or ends with a space, or ends with a dot"
    if part.split(".", maxsplit=1)[0].strip().casefold() in _DEVICES:
        return "Windows has a device of that name"
    return None

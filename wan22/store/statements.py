"""The named statements of `queries.sql`. Reads the document; runs nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

_HEADING = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def parse_statements(document: str) -> Mapping[str, str]:
    """Statements by name; each reaches from its `-- name: …` line to the next. ValueError if a name comes twice."""
    _, *parts = _HEADING.split(document)
    names, bodies = parts[::2], parts[1::2]
    if len(set(names)) != len(names):
        raise ValueError("A statement's name is used twice; give each its own.")
    return MappingProxyType(dict(zip(names, map(str.strip, bodies), strict=True)))


STATEMENTS = parse_statements(files("wan22.store").joinpath("queries.sql").read_text(encoding="utf-8"))

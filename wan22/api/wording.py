"""Says what is wrong with a field in words that cure it, and shortens what was sent so that it can be shown."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wan22.errors import FieldError

SHOWN_CHARS = 80

_TEMPLATES: dict[str, str] = {
    "int_type": "must be a whole number, such as 16",
    "int_parsing": "must be a whole number, such as 16",
    "int_parsing_size": "is too large a number",
    "int_from_float": "must be a whole number, without a fraction",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text, in double quotes",
    "string_too_long": "may have at most {max_length} characters; shorten it",
    "string_too_short": "must have at least {min_length} characters",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": 'must be an object, such as {{"project": "cats"}}',
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "too_long": "may have at most {max_length}; leave some out",
    "model_type": "must be a name, or an object with one",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "missing": "is missing",
    "extra_forbidden": "is unknown; leave it out",
}


def shorten(value: Any, limit: int = SHOWN_CHARS) -> Any:
    """`value` as it can be shown to its sender: JSON-safe, at most `limit` characters, containers by their size."""
    if value is None or isinstance(value, (bool, float, int)):
        return _number(value)
    if isinstance(value, Mapping):
        return f"an object with {len(value)} fields"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    text = str(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _number(value: float | None) -> Any:
    """A number as JSON has it; a program in JavaScript could not read the others."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return "a very large number" if value is not None and abs(value) >= 2**53 else value


def message_of(error: Mapping[str, Any]) -> str:
    """What a validation error of pydantic means, as "must be …"."""
    context = error.get("ctx", {})
    template = _TEMPLATES.get(error["type"])
    if template is not None:
        return template.format(**{name: _plain(value) for name, value in context.items()}) + _meant(error)
    if error["type"] == "value_error":
        return str(context.get("error", error["msg"]))
    return str(error["msg"][:1].lower() + error["msg"][1:])


def unknown(name: str, value: Any, *, known: Iterable[str], nearest: str | None = None) -> FieldError:
    """What is said of a field or parameter that there is none of: the nearest that there is, else all of them."""
    every = ", ".join(known)
    all_of_them = f"the known ones are {every}" if every else "there are none here; leave it out"
    return FieldError(
        name[:SHOWN_CHARS], f'is unknown; did you mean "{nearest}"?' if nearest else f"is unknown; {all_of_them}", value
    )


def nearest_word(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` most likely means, in any case; None if it is like none of them."""
    by_fold = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(word[:SHOWN_CHARS].strip().casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[close[0]] if close else None


def _plain(value: Any) -> Any:
    """A limit as people write it: whole where it is whole."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _meant(error: Mapping[str, Any]) -> str:
    """For a word that is none of the expected ones, a question for the nearest."""
    sent, expected = error.get("input"), error.get("ctx", {}).get("expected", "")
    nearest = nearest_word(sent, re.findall("'([^']*)'", expected)) if isinstance(sent, str) else None
    return f"; did you mean {nearest}?" if nearest else ""


def field_errors(
    found: Iterable[Mapping[str, Any]], name: Callable[[tuple[Any, ...]], str] | None = None
) -> list[FieldError]:
    """One FieldError for each of pydantic's; the place (query, path, …) is left out of a parameter's name."""
    name = name or (lambda where: ".".join(str(part) for part in where[1:]) or str(where[0]))
    return [FieldError(name(error["loc"]), message_of(error), error.get("input")) for error in found]

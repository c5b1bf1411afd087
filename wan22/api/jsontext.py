"""From the bytes of a JSON body to a checked object. Stricter than the standard library: no NaN, no number that is
infinite, no lone surrogate or NUL in a string, no key twice, no endless nesting.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from wan22.api.mistakes import VIDEO, hint_for_bytes, hint_for_text, hint_for_value
from wan22.errors import MalformedBody, UnsupportedMediaType

MAX_DEPTH = 20
MAX_DIGITS = 300  # a double reaches 1.8e308
CHARSETS = {"utf-8", "utf-16", "utf-16-le", "utf-16-be", "ascii", "iso8859-1", "cp1252"}


def decode(raw: bytes, charset: str | None) -> str:
    """Text of a body: UTF-8 or, told by a byte order mark, UTF-16; another charset only where the caller names it.

    Raises MalformedBody, UnsupportedMediaType.
    """
    encoding = _known(charset) if charset else "utf-8"
    if encoding in ("utf-8", "ascii"):
        encoding = json.detect_encoding(raw)
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeError as error:
        raise MalformedBody(f"The body is not {encoding.upper()}.", hint=hint_for_bytes(raw)) from error


def parse(text: str, example: str = VIDEO) -> dict[str, Any]:
    """The object that `text` is. Raises MalformedBody with the place and its cure, which may show `example`."""
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MalformedBody(
            f"The body is not JSON: {error.msg} at {where}.", hint=hint_for_text(text, example)
        ) from error
    except RecursionError as error:
        raise _too_deep() from error
    if not isinstance(value, dict):
        raise MalformedBody("The body is JSON, but not an object { … }.", hint=hint_for_value(value, example))
    check_strings(value)
    return value


def check_strings(value: Any) -> None:
    """Raise MalformedBody if a string or key somewhere in `value` can't be stored, or if it is nested too deep."""
    for text in _strings(value):
        if "\0" in text:
            raise MalformedBody("A string in the body has a NUL character.", hint="Leave out \\u0000.")
        if not _encodes(text):
            raise MalformedBody(
                "A string in the body has half of a surrogate pair.",
                hint="Send characters beyond U+FFFF whole, as UTF-8 or as a \\ud83d\\ude00 pair.",
            )


def _strings(value: Any) -> Iterator[str]:
    level = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, str):
                yield item
            elif isinstance(item, dict):
                deeper += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                deeper += item
        if not deeper:
            return
        level = deeper
    raise _too_deep()


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _known(charset: str) -> str:
    try:
        encoding = codecs.lookup(charset).name
    except (LookupError, ValueError):
        encoding = ""
    if encoding not in CHARSETS:
        raise UnsupportedMediaType(f"The charset {charset!r} is not read here.", hint="Send the body as UTF-8.")
    return encoding


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise MalformedBody(f"The body has {key[:80]!r} twice.", hint="Send each field once.")
        found[key] = value
    return found


def _constant(word: str) -> NoReturn:
    raise MalformedBody(f"{word} is not JSON.", hint="Send a finite number, or leave the field out.")


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise MalformedBody(f"The number {digits[:40]} is too large.", hint="Send a finite number.")
    return value


def _int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise MalformedBody(f"A number in the body has {len(digits)} digits.", hint="Send a smaller number.")
    return int(digits)


def _too_deep() -> MalformedBody:
    return MalformedBody("The body is nested too deep.", hint=f"Use at most {MAX_DEPTH} levels of objects and lists.")

"""Bodies are decoded and parsed strictly, and nothing in them can break what comes later."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wan22.api.jsontext import MAX_DEPTH, decode, parse
from wan22.errors import MalformedBody, UnsupportedMediaType

SENT = '{"prompt": "кот 猫 😀"}'
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**200), 10**200) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=1)), inner),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_utf8_and_utf16_are_read(encoding: str) -> None:
    assert decode(SENT.encode(encoding), None) == SENT


@pytest.mark.parametrize(
    ("charset", "raw"), [("utf-8", SENT.encode()), ("UTF8", SENT.encode()), ("utf-16", SENT.encode("utf-16"))]
)
def test_a_named_charset_is_used(charset: str, raw: bytes) -> None:
    assert decode(raw, charset) == SENT


def test_latin_1_is_read_only_where_it_is_named() -> None:
    raw = '{"prompt": "Füße"}'.encode("latin-1")
    assert decode(raw, "iso-8859-1") == '{"prompt": "Füße"}'
    with pytest.raises(MalformedBody) as caught:
        decode(raw, None)
    assert "charset=utf-8" in caught.value.hint


@pytest.mark.parametrize("charset", ["klingon", "utf-7", "rot13", "zlib", "idna", "a\0b", "utf-8;x"])
def test_no_other_charset_is_read(charset: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        decode(b"{}", charset)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=1)), values, max_size=4))
def test_what_is_json_comes_through_unchanged(value: dict[str, Any]) -> None:
    assert parse(json.dumps(value)) == value


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_an_object_or_a_malformed_body(raw: bytes) -> None:
    with contextlib.suppress(MalformedBody):
        assert isinstance(parse(decode(raw, None)), dict)


@pytest.mark.parametrize(
    "text",
    [
        *('{"a": NaN}', '{"a": Infinity}', '{"a": -Infinity}', '{"a": 1e999}', '{"a": [{"b": -1e999}]}'),
        *('{"a": "\\ud800"}', '{"\\udfff": 1}', '{"a": [{"b": "x\\ud83d"}]}', '{"a": "\\u0000"}', '{"\\u0000": 1}'),
        *('{"a": 1, "a": 2}', '{"m": {"a": 1, "a": 1}}', '{"a": ' + "9" * 5_000 + "}"),
        *("[]", '"text"', "1", "null", "true", "", " ", "{", "}", '{"a": 1}}', '{"a": 01}', '{"a": .5}', '{"a": +1}'),
        *("[" * 100_000, '{"a":' * 100_000, '{"a": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}", "{'a': 1}", "\ufeff"),
    ],
)
def test_what_could_not_be_stored_or_shown_is_refused(text: str) -> None:
    with pytest.raises(MalformedBody) as caught:
        parse(text)
    assert caught.value.hint


def test_deep_but_bounded_nesting_is_read() -> None:
    depth = MAX_DEPTH - 2
    assert parse('{"a": ' + "[" * depth + "]" * depth + "}")


def test_a_surrogate_pair_is_one_character() -> None:
    assert parse('{"a": "\\ud83d\\ude00"}') == {"a": "😀"}


def test_the_place_of_a_mistake_is_named() -> None:
    with pytest.raises(MalformedBody, match="line 2, column 8"):
        parse('{\n"a": 1 "b": 2}')

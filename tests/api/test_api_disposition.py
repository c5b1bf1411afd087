"""The name of a form's file is read in both of its spellings, and none that a sender can think of raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan22.api.disposition import file_name


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("", None),
        ("form-data; name=file", None),
        ('form-data; name="file"; filename=""', ""),
        ('form-data; name="file"; filename="a b.png"', "a b.png"),
        ("form-data; name=file; filename*=UTF-8''a%20b.png", "a b.png"),
        ("form-data; name=file; filename*=iso-8859-1'de'Gem%E4lde.png; filename=x.png", "Gemälde.png"),
        ("form-data; filename=\"x.png\"; filename* = utf-8''%C3%A4.png", "ä.png"),
        ("form-data; filename=\"x.png\"; filename*=utf-8''%FF.png", "x.png"),  # no UTF-8
        ("form-data; filename=\"x.png\"; filename*=klingon''%61.png", "x.png"),
        ("form-data; filename=\"x.png\"; filename*=hex''%61.png", "x.png"),  # a codec of Python that is no charset
        ('form-data; filename="x.png"; filename*=a.png', "x.png"),
        ("form-data; filename*=klingon''%61.png", "a.png"),
        ("form-data; name=\"; filename*=utf-8''a.png\"", None),  # inside of a name
        ('form-data; filename="\xc3\xa4.png"', "ä.png"),  # UTF-8 that was read as latin-1
    ],
)
def test_the_extended_name_comes_first_and_a_bad_one_is_passed_over(said: str, name: str | None) -> None:
    assert file_name(said) == name


@given(st.text(st.characters(max_codepoint=255)))
def test_any_header_can_be_read(said: str) -> None:
    file_name(said)
    file_name(f"form-data; filename*=utf-8''{said}")

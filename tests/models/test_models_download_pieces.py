"""Pieces know which bytes are there whatever is added, dropped, recorded and read again; pauses have a bound."""

from __future__ import annotations

import json
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan22.models.download.pace import Backoff, retry_after_s
from wan22.models.download.pieces import Piece, Pieces, pieces_of

SIZE = 40
SOURCES = ("hub", "mirror", "folder")

steps = st.lists(st.tuples(st.sampled_from(SOURCES), st.integers(0, SIZE), st.booleans()), max_size=12)


def after(did: list[tuple[str, int, bool]]) -> tuple[Pieces, list[str | None]]:
    """What pieces, and a plain list of who gave which byte, have after steps: fill some of the first hole, or drop."""
    pieces, owners = Pieces(SIZE), [None] * SIZE
    for source, count, drops in did:
        hole = pieces.first_hole()
        if drops or hole is None:
            pieces = pieces.drop(lambda piece, name=source: piece.source == name)
            owners = [None if owner == source else owner for owner in owners]
        else:
            end = min(hole[0] + count, hole[1])
            pieces = pieces.add(Piece(hole[0], end, source))
            owners[hole[0] : end] = [source] * (end - hole[0])
    return pieces, owners


def owners_of(pieces: Pieces) -> list[str | None]:
    owners: list[str | None] = [None] * SIZE
    for piece in pieces.pieces:
        owners[piece.start : piece.end] = [piece.source] * piece.size
    return owners


@given(steps)
def test_pieces_are_who_gave_which_byte(did: list[tuple[str, int, bool]]) -> None:
    pieces, owners = after(did)
    assert owners_of(pieces) == owners
    assert pieces.held == sum(owner is not None for owner in owners)
    hole = pieces.first_hole()
    assert (hole is None) == (None not in owners)
    if hole is not None:
        assert owners.index(None) == hole[0]
        assert set(owners[slice(*hole)]) == {None}
        assert hole[1] == SIZE or owners[hole[1]] is not None


@given(steps, st.integers(0, SIZE))
def test_a_record_brings_back_what_the_file_still_has(did: list[tuple[str, int, bool]], there: int) -> None:
    pieces, owners = after(did)
    found = pieces_of(json.loads(json.dumps(pieces.rows())), size=SIZE, there=there)
    assert owners_of(found) == [owner if at < there else None for at, owner in enumerate(owners)]
    assert all(piece.earlier for piece in found.pieces)


def test_a_piece_that_was_open_when_the_process_died_has_what_is_in_the_file() -> None:
    found = pieces_of([[0, 10, "hub", '"e"'], [10, None, "mirror", None]], size=SIZE, there=17)
    assert [(piece.start, piece.end, piece.source) for piece in found.pieces] == [(0, 10, "hub"), (10, 17, "mirror")]
    assert (found.etag_of("hub"), found.etag_of("mirror"), found.etag_of("folder")) == ('"e"', None, None)


def test_neighbours_of_one_kind_are_one_piece() -> None:
    pieces = Pieces(SIZE).add(Piece(0, 5, "hub")).add(Piece(5, 9, "hub")).add(Piece(9, 12, "hub", earlier=True))
    assert [(piece.start, piece.end) for piece in pieces.pieces] == [(0, 9), (9, 12)]


@pytest.mark.parametrize(("failures", "pause_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (8, 60.0), (5_000, 60.0)])
def test_a_source_is_left_alone_twice_as_long_each_time_up_to_a_minute(failures: int, pause_s: float) -> None:
    assert Backoff().pause_s(failures, None) == pause_s


@given(st.one_of(st.none(), st.text(max_size=30), st.integers().map(str), st.datetimes().map(format_datetime)))
def test_whatever_retry_after_says_the_pause_is_between_nothing_and_a_minute(header: str | None) -> None:
    assert 0 <= Backoff().pause_s(1, retry_after_s(header)) <= 60

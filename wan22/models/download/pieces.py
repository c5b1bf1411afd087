"""Which bytes of a file are there and who gave them: pieces in order, which never overlap. Pure values, no disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Piece:
    """Bytes `start` to `end` from one source, named as `sources` names it."""

    start: int
    end: int
    source: str
    etag: str | None = None
    earlier: bool = False  # by a process that ended since, so that the disk may be at fault and not the source

    @property
    def size(self) -> int:
        """Bytes in it."""
        return self.end - self.start


@dataclass(frozen=True)
class Pieces:
    """All pieces of one file of `size` bytes."""

    size: int
    pieces: tuple[Piece, ...] = ()

    @property
    def held(self) -> int:
        """Bytes that are there."""
        return sum(piece.size for piece in self.pieces)

    @property
    def end(self) -> int:
        """Where the last piece ends; 0 if there is none."""
        return self.pieces[-1].end if self.pieces else 0

    def first_hole(self) -> tuple[int, int] | None:
        """The first bytes that are missing, from and up to; None if the file is complete."""
        at = 0
        for piece in self.pieces:
            if piece.start > at:
                return at, piece.start
            at = piece.end
        return (at, self.size) if at < self.size else None

    def etag_of(self, source: str) -> str | None:
        """What the source called the file when it last gave a piece of it."""
        return next((piece.etag for piece in reversed(self.pieces) if piece.source == source), None)

    def add(self, new: Piece) -> Pieces:
        """With one piece more, joined to the one before if that is of the same kind; an empty one adds nothing."""
        pieces = sorted([*self.pieces, new] if new.size else self.pieces, key=lambda piece: piece.start)
        joined: list[Piece] = []
        for piece in pieces:
            if joined and joined[-1] == replace(piece, start=joined[-1].start, end=piece.start):
                piece = replace(piece, start=joined.pop().start)  # noqa: PLW2901 - it takes the other's place
            joined.append(piece)
        return replace(self, pieces=tuple(joined))

    def drop(self, doubtful: Callable[[Piece], bool]) -> Pieces:
        """Without the pieces that are doubted."""
        return replace(self, pieces=tuple(piece for piece in self.pieces if not doubtful(piece)))

    def rows(self) -> list[list[Any]]:
        """For a record."""
        return [[piece.start, piece.end, piece.source, piece.etag] for piece in self.pieces]


def pieces_of(rows: Iterable[Any], *, size: int, there: int) -> Pieces:
    """The pieces of a record, as far as the file of `there` bytes has them; none at all from a damaged record.

    A piece whose end is None was being written at the file's end when the process died: it has all that came.
    """
    pieces: list[Piece] = []
    try:
        for start, end, source, etag in rows:
            last = min(there if end is None else end, there, size)
            if last > start >= (pieces[-1].end if pieces else 0):
                pieces.append(Piece(start, last, str(source), etag if isinstance(etag, str) else None, earlier=True))
    except (TypeError, ValueError):
        return Pieces(size)
    return Pieces(size, tuple(pieces))

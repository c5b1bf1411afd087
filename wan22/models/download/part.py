"""A file on its way: `<name>.part`, and beside it a record of which bytes came from which source.

Bytes are written as they come and hashed while they stream. At the end of the file the record need not follow them,
since the part's own length says how far it got; so a process may die at any moment and loses what it had not written.
Nothing here is synced before the end: after a power cut the hash finds what the disk lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from wan22.models.download.disk import Disk, RandomFile, publish, read_json, write_json
from wan22.models.download.listing import WantedFile
from wan22.models.download.names import PART, RECORD
from wan22.models.download.pieces import Piece, Pieces, pieces_of

_BLOCK = 1 << 20
_NOTE_BYTES = 4 << 20  # written between other pieces before the record says so: what a death there costs at most


class Part:
    """One file's part. Used by one thread. All verbs raise DiskFull or ServerFault where the disk refuses."""

    def __init__(self, path: Path, file: WantedFile, disk: Disk) -> None:
        self._final = path
        self._path = path.with_name(path.name + PART)
        self._record = path.with_name(path.name + RECORD)
        self._wanted = file
        self._disk = disk
        self._pieces = recorded_pieces(path, file)
        self._active: Piece | None = None
        self._noted = 0
        self._start_hash()
        self._file = self._open()

    def close(self) -> None:
        """Leave the part to a later run."""
        self._file.close()

    @property
    def held(self) -> int:
        """Bytes that are there."""
        return self._pieces.held + (self._active.size if self._active else 0)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """What is there, between two answers."""
        return self._pieces.pieces

    def first_hole(self) -> tuple[int, int] | None:
        """The first bytes that are missing, from and up to."""
        return self._pieces.first_hole()

    def etag_of(self, source: str) -> str | None:
        """What the source called the file when it gave bytes of it."""
        return self._pieces.etag_of(source)

    def begin(self, start: int, source: str, etag: str | None) -> None:
        """From here on `write` has bytes of that source, from `start` on, which is where a hole begins."""
        self._active = Piece(start, start, source, etag)
        with self._writing():
            self._file.seek(start)
            self._note(self._active)

    def write(self, data: bytes | memoryview) -> None:
        """The next bytes of the active piece, at most up to the end of its hole."""
        rest = memoryview(data)
        while rest:  # a disk that is almost full takes a part of it
            with self._writing():
                written = self._file.write(rest) or 0
            self._wrote(rest[:written])
            rest = rest[written:]

    def settle(self) -> None:
        """The active piece ends here, however its source ended."""
        self._pieces, self._active = self._pieces.add(self._piece()), None
        with self._writing():
            self._note(None)

    def catch_up(self, each: Callable[[], None]) -> None:
        """Hash from disk what is there up to the first hole and was not hashed; `each` is called at every block."""
        hole = self._pieces.first_hole()
        end = self._wanted.size if hole is None else hole[0]
        if self._hashed >= end:
            return
        with self._writing(), self._path.open("rb") as file:
            file.seek(self._hashed)
            while self._hashed < end and (block := file.read(min(_BLOCK, end - self._hashed))):
                each()
                self._hash.update(block)
                self._hashed += len(block)

    def is_right(self) -> bool:
        """Whether the hash of the whole file is the wanted one. Asked once there is no hole and it has caught up."""
        return self._hashed == self._wanted.size and self._hash.hexdigest() == self._wanted.digest

    def drop(self, doubtful: Callable[[Piece], bool]) -> None:
        """Give up the pieces that are doubted; what is left is hashed anew when it is needed."""
        self._pieces = self._pieces.drop(doubtful)
        self._start_hash()
        with self._writing():
            self._note(None)
            self._file.truncate(self._pieces.end)

    def finish(self) -> None:
        """Give the file its name. Only after `is_right`."""
        with self._writing():
            os.fsync(self._file.fileno())
            self._file.close()
            publish(self._path, self._final)
            self._record.unlink(missing_ok=True)

    def _open(self) -> RandomFile:
        with self._writing():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._disk.open_part(self._path)
            file.truncate(
                self._pieces.end
            )  # a new piece at the end begins where the file ends, or its length tells nothing
            return file

    def _start_hash(self) -> None:
        self._hash, self._hashed = self._wanted.hasher(), 0

    def _piece(self) -> Piece:
        if self._active is None:
            raise AssertionError("begin comes first")
        return self._active

    def _wrote(self, data: memoryview) -> None:
        piece = self._piece()
        if self._hashed == piece.end:
            self._hash.update(data)
            self._hashed += len(data)
        self._active = Piece(piece.start, piece.end + len(data), piece.source, piece.etag)
        if self._active.end - self._noted >= _NOTE_BYTES and not self._at_tail(self._active):
            with self._writing():
                self._note(self._active)

    def _at_tail(self, piece: Piece) -> bool:
        return piece.start >= self._pieces.end

    def _note(self, active: Piece | None) -> None:
        """Write the record, with the active piece as far as it is now, or open where the part's length tells."""
        rows = self._pieces.rows()
        if active is not None:
            self._noted = active.end
            end = None if self._at_tail(active) else active.end
            rows = sorted([*rows, [active.start, end, active.source, active.etag]], key=lambda row: int(row[0]))
        write_json(self._record, {"size": self._wanted.size, "digest": self._wanted.digest, "pieces": rows})

    def _writing(self) -> AbstractContextManager[None]:
        return self._disk.writing(self._final, self._wanted.size - self.held)


def recorded_pieces(path: Path, file: WantedFile) -> Pieces:
    """What an earlier process left of the file that is to be at `path`; nothing if that was of another content."""
    record = read_json(path.with_name(path.name + RECORD))
    try:
        there = path.with_name(path.name + PART).stat().st_size
    except OSError:
        there = 0
    if record.get("digest") != file.digest or record.get("size") != file.size:
        return Pieces(file.size)
    return pieces_of(record.get("pieces") or (), size=file.size, there=there)


def hash_of(path: Path, file: WantedFile, each: Callable[[], None]) -> str:
    """The hash of what is at `path`, of the kind that `file` has; `each` is called at every block. Raises OSError."""
    digest = file.hasher()
    with path.open("rb") as content:
        while block := content.read(_BLOCK):
            each()
            digest.update(block)
    return digest.hexdigest()

"""Brings one file: from which source next, which bytes of it, and whom to doubt when the hash is wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from wan22.errors import DownloadFailed
from wan22.models.download.board import Board
from wan22.models.download.disk import Disk
from wan22.models.download.listing import Listing, WantedFile
from wan22.models.download.pace import Backoff, Limiter, Stop
from wan22.models.download.part import Part
from wan22.models.download.pieces import Piece
from wan22.models.download.progress import Meter
from wan22.models.download.sources import Answer, Ask, Source
from wan22.models.download.web import SourceFailed, Web

logger = logging.getLogger(__name__)

_BLOCK = 1 << 20
_HOLD_S = 0.1  # a limit of the speed shows in steps no longer than that


@dataclass(frozen=True)
class Shared:
    """What the transfers of one run have in common."""

    listing: Listing
    board: Board
    web: Web
    meter: Meter
    limiter: Limiter
    stop: Stop
    disk: Disk
    backoff: Backoff


class _IgnoresRange(Exception):
    """The server sends the whole file again; nothing is wrong with it otherwise."""


class Transfer:
    """One file, until it is whole and right, or no source is left."""

    def __init__(self, file: WantedFile, path: Path, shared: Shared) -> None:
        self._file = file
        self._path = path
        self._shared = shared
        self._reasons: dict[str, str] = {}  # why a source is not asked again for this file
        self._failures: dict[str, int] = {}  # in a row, without a new byte
        self._ignoring: set[str] = set()  # sources that send all of the file whatever is asked
        self._doubted: set[str] = set()  # sources whose bytes were dropped after a wrong hash
        self._suspect: str | None = None  # the last of them, if nothing else changed since

    def run(self) -> None:
        """Fetch what is missing and give the file its name. Raises DownloadFailed, DiskFull, ServerFault, Stopped."""
        with closing(Part(self._path, self._file, self._shared.disk)) as part:
            while not self._is_complete_and_right(part):
                self._doubt(part)
            part.finish()
        if self._suspect is not None:  # all other bytes are as they were, and now the hash is right
            self._shared.board.shown_wrong(self._suspect)

    def _is_complete_and_right(self, part: Part) -> bool:
        while True:
            self._catch_up(part)
            hole = part.first_hole()
            if hole is None:
                return part.is_right()
            self._fetch_some(part, hole)

    def _catch_up(self, part: Part) -> None:
        self._shared.meter.file(self._file.path, "checking", part.held)
        part.catch_up(self._shared.stop.check)

    def _fetch_some(self, part: Part, hole: tuple[int, int]) -> None:
        """Fill the hole, or a part of it, from the source whose turn it is."""
        usable = self._usable(hole[0])
        if not usable:
            self._forgive(part)
            return
        source = self._shared.board.pick(usable, self._shared.stop)
        self._shared.meter.using(self._file.path, source.name)
        try:
            self._ask(source, part, hole)
        except _IgnoresRange:
            self._ignoring.add(source.name)
        except SourceFailed as failure:
            self._shared.stop.check()  # a stop shuts connections, for which no source is to blame
            self._note(source.name, failure)

    def _usable(self, start: int) -> list[Source]:
        """Sources that may still be asked, best first; those that would send again what is there come last."""
        board = self._shared.board
        left_out = self._reasons.keys() | self._doubted
        usable = [source for source in board.sources if source.name not in left_out and not board.is_wrong(source.name)]
        return sorted(usable, key=lambda source: start > 0 and source.name in self._ignoring)

    def _ask(self, source: Source, part: Part, hole: tuple[int, int]) -> None:
        known_to_ignore = source.name in self._ignoring
        etag = None if known_to_ignore else part.etag_of(source.name)
        ask = Ask(self._shared.listing, self._file, *hole, etag)
        with source.open(ask, self._shared.web) as answer:
            if answer.first_byte < hole[0] and not known_to_ignore:
                raise _IgnoresRange
            part.begin(hole[0], source.name, answer.etag)
            try:
                self._take(source, part, gathered(self._wanted(answer, source.name, hole), answer.is_waiting))
            finally:
                part.settle()
        left = part.first_hole()
        if left is not None and left[0] < hole[1]:
            raise SourceFailed("it ended early")

    def _take(self, source: Source, part: Part, blocks: Iterator[memoryview]) -> None:
        for block in blocks:
            if not source.is_disk:
                self._shared.meter.came(len(block))
            part.write(block)
            self._shared.meter.got(self._file.path, len(block), part.held)
            self._shared.board.arrived(source.name)
            self._failures.pop(source.name, None)

    def _wanted(self, answer: Answer, source: str, hole: tuple[int, int]) -> Iterator[bytes]:
        """The answer's bytes inside the hole; what comes before it is there already, and passed over."""
        at, end = answer.first_byte, hole[1]
        for chunk in answer.chunks:
            self._shared.limiter.take(len(chunk))
            self._shared.stop.check()
            if self._shared.board.is_wrong(source):
                raise SourceFailed("it served wrong bytes in another file", final=True)
            wanted = chunk[max(0, hole[0] - at) : end - at]
            at += len(chunk)
            if wanted:
                yield wanted
            if at >= end:
                return

    def _note(self, source: str, failure: SourceFailed) -> None:
        """One failure more; a source that can't help, or failed too often in a row, is given up for this file."""
        self._shared.meter.retried(self._file.path)
        logger.warning(
            "%s did not give %s: %s",
            source,
            self._file.path,
            failure.reason,
            extra={"action": "download.source_failed"},
        )
        failures = self._failures[source] = self._failures.get(source, 0) + 1
        if failure.final:
            self._reasons[source] = failure.reason
            return
        self._shared.board.failed(source, failure.retry_after_s)
        if failures >= self._shared.backoff.tries:
            self._reasons[source] = f"{failure.reason}, {failures} times"

    def _doubt(self, part: Part) -> None:
        """The hash is wrong: drop the bytes of the least trusted source, so that another one brings them.

        Where bytes of an earlier process are among them these go first: the disk may have harmed them, and the source
        may be asked again. A source whose bytes are all that there is was shown wrong, and then nobody else is
        doubted any more.
        """
        if not part.pieces:
            raise DownloadFailed(f"The listing has a hash for {self._file.path} that no empty file can have.")
        self._shared.meter.retried(self._file.path)
        least = max(part.pieces, key=lambda piece: (self._shared.board.place(piece.source), piece.earlier))
        alone = all(_same(piece, least) for piece in part.pieces)
        logger.warning(
            "%s has a wrong hash; the bytes of %s are fetched again",
            self._file.path,
            least.source,
            extra={"action": "download.wrong_hash"},
        )
        part.drop(lambda piece: _same(piece, least))
        self._suspect = None
        if not least.earlier:
            self._blame(least.source, alone)

    def _blame(self, source: str, alone: bool) -> None:
        if alone and any(one.is_disk for one in self._shared.board.sources if one.name == source):
            self._reasons[source] = "its file has other bytes"
            self._doubted.clear()
        elif alone:
            self._shared.board.shown_wrong(source)
            self._doubted.clear()
        else:
            self._doubted.add(source)
            self._suspect = source

    def _forgive(self, part: Part) -> None:
        """Nobody is left to ask. Where another file has shown since who was wrong, doubts that rest on bytes of that
        source were unjust: drop these bytes instead, and ask the others again. Raises DownloadFailed otherwise."""
        board = self._shared.board
        if not self._doubted or not any(board.is_wrong(piece.source) for piece in part.pieces):
            raise self._no_source_left()
        part.drop(lambda piece: board.is_wrong(piece.source))
        self._doubted.clear()
        self._suspect = None

    def _no_source_left(self) -> DownloadFailed:
        wrong = {source.name: "it served wrong bytes" for source in self._shared.board.sources}
        said = "; ".join(f"{name}: {self._reasons.get(name, why)}" for name, why in wrong.items())
        return DownloadFailed(f"{self._file.path} can't be fetched. {said or 'No source is configured'}.")


def _same(piece: Piece, other: Piece) -> bool:
    return (piece.source, piece.earlier) == (other.source, other.earlier)


def gathered(
    chunks: Iterator[bytes], is_waiting: Callable[[], bool], now: Callable[[], float] = time.monotonic
) -> Iterator[memoryview]:
    """The same bytes in larger blocks while more of them wait, since every block costs all threads a turn.

    A block is there until the next one is asked for. What came before an error is given before the error is.
    """
    room = memoryview(bytearray(_BLOCK))
    held, since = 0, now()
    try:
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                taken = min(len(rest), _BLOCK - held)
                room[held : held + taken] = rest[:taken]
                held, rest = held + taken, rest[taken:]
                if held == _BLOCK or not is_waiting() or now() - since >= _HOLD_S:
                    yield room[:held]
                    held, since = 0, now()
    except Exception:
        if held:
            yield room[:held]
        raise
    if held:
        yield room[:held]

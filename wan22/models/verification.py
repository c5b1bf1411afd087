"""One run that compares files with what they must be, and the record that it leaves in a folder of ours.

Mends nothing; a run and who may start one is `downloads`'.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from wan22.errors import Cancelled, ModelCorrupt, ServerFault
from wan22.models.download import DownloadProgress, FileProgress, WantedFile
from wan22.models.download.disk import read_json, write_json
from wan22.models.download.lock import only_one
from wan22.models.download.manifest import OURS
from wan22.models.download.pace import Clock
from wan22.models.download.part import hash_of
from wan22.models.download.progress import Meter
from wan22.models.files import changed_ns
from wan22.models.headers import check_header
from wan22.models.in_turn import InTurn

Fault = Literal["missing", "unreadable", "wrong size", "damaged header", "wrong content"]

_RECORD = "checked.json"
_BLOCK = 1 << 20  # bytes that are hashed at once: progress goes by these steps


@dataclass(frozen=True)
class Sought:
    """Files of a folder, and what each must be."""

    folder: Path
    files: tuple[WantedFile, ...]
    owner: str | None = None  # of a folder that is not ours, in words: no record is left there
    is_hashed: bool = True  # False: nobody knows their hashes, so that only headers are looked at


@dataclass(frozen=True)
class WrongFile:
    """A file that is not what it must be."""

    path: str
    fault: Fault


@dataclass(frozen=True)
class LastCheck:
    """When a folder was last hashed as a whole, and the files that were found wrong and were not touched since."""

    at: datetime | None  # None: never
    wrong: tuple[WrongFile, ...]


class Verification:
    """Reads the files that are sought, one after the other. One object is one run.

    `quick` looks at sizes, and at the headers of weight files; it hashes nothing.
    """

    def __init__(self, sought: Sought, *, quick: bool = False) -> None:
        self._folder, self._files = sought.folder, sought.files
        self._quick = quick or not sought.is_hashed
        self._is_kept = sought.owner is None and sought.is_hashed
        self._meter = Meter((FileProgress(file.path, file.size) for file in sought.files), Clock())
        self._stop = threading.Event()
        self._judged_ns: dict[str, int | None] = {}
        self.wrong: tuple[WrongFile, ...] = ()

    def run(self) -> None:
        """Fill `wrong`. Raises Cancelled; what is wrong with a file is no error."""
        self._meter.enter("running")
        for file in self._files:
            self._judged_ns[file.path] = changed_ns(self._folder / file.path)
            if fault := self._fault_of(file):
                self.wrong += (WrongFile(file.path, fault),)
            self._meter.file(file.path, "failed" if fault else "done", file.size)
        if self._is_kept:
            keep_check(self._folder, self.wrong, quick=self._quick)
        self._meter.enter("done")  # last: who sees that asks for what was kept

    def is_unchanged(self, file: WrongFile) -> bool:
        """Whether it was not written to since it was judged."""
        return changed_ns(self._folder / file.path) == self._judged_ns.get(file.path)

    def cancel(self) -> None:
        """Make `run` raise Cancelled within a block. From any thread, also before `run`."""
        self._stop.set()

    def progress(self) -> DownloadProgress:
        """How it stands now: `done_bytes` and `fetched_bytes` are those that were read."""
        return self._meter.snapshot()

    def _fault_of(self, file: WantedFile) -> Fault | None:
        self._meter.file(file.path, "checking", 0)
        read = 0

        def each() -> None:
            nonlocal read
            self._check_stop()
            count = min(_BLOCK, file.size - read)
            read += count
            self._meter.got(file.path, count, read)

        self._check_stop()
        return _fault_at(self._folder / file.path, file, quick=self._quick, each=each)

    def _check_stop(self) -> None:
        if self._stop.is_set():
            self._meter.enter("cancelled")
            raise Cancelled("The verification was cancelled.", hint="Start it again: it begins with the first file.")


class Check(InTurn):
    """Verifications of a variant's folders, one after the other, as one run."""

    def __init__(self, sought: Sequence[Sought], *, quick: bool = False) -> None:
        self._checks = [(one, Verification(one, quick=quick)) for one in sought]
        super().__init__([check for _, check in self._checks])

    @property
    def wrong(self) -> tuple[WrongFile, ...]:
        """What was found so far, in all folders."""
        return tuple(file for _, check in self._checks for file in check.wrong)

    @property
    def lent_wrong(self) -> tuple[WrongFile, ...]:
        """Those in other programs' folders, which no repair of ours touches."""
        return tuple(file for sought, check in self._checks if sought.owner for file in check.wrong)

    def remove_wrong(self) -> None:
        """Take what was found wrong away, so that a download fetches it; what was replaced meanwhile stays.

        Another program's files stay, too. Raises ServerFault, and DownloadFailed while another process writes into a
        folder.
        """
        for sought, check in self._checks:
            try:
                if check.wrong and not sought.owner:
                    _remove(sought.folder, check)
            except OSError as error:
                raise ServerFault(
                    f"What is wrong in {sought.folder} can't be removed: {error.strerror or type(error).__name__}.",
                    hint="Check that the server's account may write there and that nothing has them open.",
                ) from error


def _remove(target: Path, check: Verification) -> None:
    with only_one(target):
        for file in check.wrong:
            if check.is_unchanged(file):
                (target / file.path).unlink(missing_ok=True)


def keep_check(target: Path, wrong: Sequence[WrongFile], *, quick: bool = False) -> None:
    """Remember the outcome of now in the folder, with the times of the wrong files: one that is mended has another.

    A quick look can't tell that content is right, so that it takes nothing back that was found before.
    """
    at: datetime | None = datetime.now(timezone.utc)
    if quick:
        before = find_check(target)
        at = before.at if before else None
        found = {file.path for file in wrong}
        hashed = [file for file in (before.wrong if before else ()) if file.fault == "wrong content"]
        wrong = [*wrong, *(file for file in hashed if file.path not in found)]
        if before is None and not wrong:
            return
    rows = [[file.path, file.fault, changed_ns(target / file.path)] for file in wrong]
    with contextlib.suppress(OSError):  # a folder that is not there, or not ours to write in, is verified all the same
        if target.is_dir():
            (target / OURS).mkdir(exist_ok=True)
            write_json(target / OURS / _RECORD, {"at": at.isoformat() if at else None, "wrong": rows})


def find_check(target: Path) -> LastCheck | None:
    """What was remembered; None where there is nothing, or a damaged record."""
    content = read_json(target / OURS / _RECORD)
    try:
        at = datetime.fromisoformat(content["at"]).astimezone(timezone.utc) if content["at"] else None
        return LastCheck(at, tuple(_still_wrong(target, content["wrong"])))
    except (KeyError, TypeError, ValueError):
        return None


def wrong_in(target: Path) -> tuple[WrongFile, ...]:
    """The files of the folder that were found wrong, and were not touched since."""
    check = find_check(target)
    return check.wrong if check else ()


def hashed_at(target: Path) -> datetime | None:
    """When files of the folder were last hashed, by a download or as a whole; None if never."""
    check = find_check(target)
    downloaded_ns = changed_ns(target / OURS / "verified.json")
    downloaded = datetime.fromtimestamp(downloaded_ns / 1e9, timezone.utc) if downloaded_ns else None
    return max((at for at in (check.at if check else None, downloaded) if at), default=None)


def _still_wrong(target: Path, rows: Sequence[Any]) -> Iterator[WrongFile]:
    for path, fault, then_ns in rows:
        if then_ns == changed_ns(target / path):
            yield WrongFile(str(path), fault)


def _fault_at(path: Path, file: WantedFile, *, quick: bool, each: Callable[[], None]) -> Fault | None:
    """What is wrong with the file at `path`; None if nothing. `each` is called at every block that is hashed."""
    try:
        if path.stat().st_size != file.size:
            return "wrong size"
        if quick:
            check_header(path)
            return None
        return None if hash_of(path, file, each) == file.digest else "wrong content"
    except ModelCorrupt:
        return "damaged header"
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError:
        return "unreadable"

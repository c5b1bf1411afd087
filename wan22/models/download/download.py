"""One run that brings the files of a plan: threads, each with one file at a time, and what they share.

What is fetched from where is decided for each file by `transfer`. Whoever starts a run calls `run` in a thread of
their own, and `progress` and `cancel` from any other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from wan22.errors import Cancelled, DownloadFailed
from wan22.models.download.board import Board
from wan22.models.download.disk import Disk
from wan22.models.download.lock import only_one
from wan22.models.download.manifest import Verified, write_manifest
from wan22.models.download.pace import Backoff, Clock, Limiter, Stop, Stopped
from wan22.models.download.part import hash_of
from wan22.models.download.plan import DownloadPlan, PlannedFile, make_plan
from wan22.models.download.progress import DownloadProgress, FileProgress, Meter
from wan22.models.download.sources import Source
from wan22.models.download.transfer import Shared, Transfer
from wan22.models.download.web import Web

THREAD = "wan22-download"
_LEAVE_S = 1.0  # how long a stop waits for threads; one that is still connecting ends later and writes nothing
_LOOK_S = 0.2


@dataclass(frozen=True)
class Options:
    """How to fetch."""

    parallel: int = 4  # files at a time
    max_bytes_per_s: float | None = None  # of all files together
    stall_s: float = 30.0  # without a byte, after which the next source is asked
    backoff: Backoff = field(default_factory=Backoff)
    clock: Clock = field(default_factory=Clock)
    disk: Disk = field(default_factory=Disk)


class Download:
    """Brings the files of `plan` from `sources`, the most trusted first. One object is one run."""

    def __init__(self, plan: DownloadPlan, sources: Sequence[Source], options: Options | None = None) -> None:
        self._plan = plan
        self._options = options or Options()
        self._board = Board(sources, backoff=self._options.backoff, clock=self._options.clock)
        self._meter = Meter(map(_progress_of, plan.files), self._options.clock)
        self._stop = Stop(self._options.clock)
        self._cancelled = False
        self._failures: list[DownloadFailed] = []
        self._fatal: Exception | None = None

    def run(self) -> None:
        """Fetch and check everything; returns once all files have their names.

        Raises DiskFull (before the first byte, or in the middle), DownloadFailed for the files that no source gave,
        once all others are there, ServerFault where the folder can't be written, and Cancelled. What was fetched stays.
        """
        self._meter.enter("running")
        try:
            self._run()
        except Cancelled:
            self._meter.enter("cancelled")
            raise
        except BaseException:
            self._meter.enter("failed")
            raise
        self._meter.enter("done")

    def cancel(self) -> None:
        """Make `run` raise Cancelled within about a second; parts are kept. From any thread, also before `run`."""
        self._cancelled = True
        self._stop.set()

    def progress(self) -> DownloadProgress:
        """How it stands now. From any thread, also before and after `run`."""
        return self._meter.snapshot()

    def _run(self) -> None:
        target = self._plan.target
        fresh = make_plan(self._plan.listing, self._plan.chosen, target, disk=self._options.disk)
        fresh.refuse_what_does_not_fit()  # now and not when it was planned, which may be long ago
        with self._options.disk.writing(target, fresh.missing_bytes), only_one(target):
            write_manifest(target, self._plan.listing)
            with Web(self._stop, stall_s=self._options.stall_s) as web:
                self._work(fresh.files, web)
        self._tell()

    def _work(self, files: Sequence[PlannedFile], web: Web) -> None:
        """Have threads bring the files, the largest first, and come back when all ended or had a second to."""
        waiting = deque(sorted(files, key=lambda planned: planned.missing_bytes, reverse=True))
        verified = Verified(self._plan.target)
        shared = self._shared(web)
        # no pool: at the end of the process Python would wait for a thread of it that is still connecting
        count = max(1, min(self._options.parallel, len(waiting)))
        threads = [
            threading.Thread(target=self._drain, args=(waiting, shared, verified), name=THREAD, daemon=True)
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        try:
            _join(threads, self._stop)
        finally:
            self._stop.set()  # also when the process was interrupted here

    def _shared(self, web: Web) -> Shared:
        options = self._options
        limiter = Limiter(options.max_bytes_per_s, clock=options.clock, stop=self._stop)
        listing = self._plan.listing
        return Shared(
            listing, self._board, web, self._meter, limiter, self._stop, disk=options.disk, backoff=options.backoff
        )

    def _drain(self, waiting: deque[PlannedFile], shared: Shared, verified: Verified) -> None:
        """A thread's work: file after file until none waits. A file that no source gives does not stop the others."""
        while not self._stop.is_set():
            try:
                planned = waiting.popleft()
            except IndexError:
                return
            self._attempt(planned, shared, verified)

    def _attempt(self, planned: PlannedFile, shared: Shared, verified: Verified) -> None:
        try:
            self._bring(planned, shared, verified)
        except Stopped:
            return
        except DownloadFailed as failure:
            self._failures.append(failure)
            self._meter.file(planned.file.path, "failed")
        except Exception as error:  # noqa: BLE001 - the end of a thread: whatever it met, `run` must raise it
            if not self._stop.is_set():  # after it, what a thread meets has the stop as its cause
                self._fatal = error
                self._stop.set()

    def _bring(self, planned: PlannedFile, shared: Shared, verified: Verified) -> None:
        file, path = planned.file, self._plan.target / planned.file.path
        if not planned.checked:
            if not self._is_there(planned):
                Transfer(file, path, shared).run()
            with self._options.disk.writing(path, 0):
                verified.add(file)
        self._meter.file(file.path, "done", file.size)

    def _is_there(self, planned: PlannedFile) -> bool:
        """Whether a file of that name and size, which nobody vouches for, is the right one."""
        file, path = planned.file, self._plan.target / planned.file.path
        if not path.is_file() or path.stat().st_size != file.size:
            return False
        self._meter.file(file.path, "checking")
        with self._options.disk.writing(path, 0):
            return hash_of(path, file, self._stop.check) == file.digest

    def _tell(self) -> None:
        """Raise what the threads met."""
        if self._fatal is not None:
            raise self._fatal
        if self._cancelled:
            raise Cancelled(
                f"The download of {self._plan.listing.repository} was cancelled.",
                hint="Start it again to go on: what was fetched is kept.",
            )
        if self._failures:
            raise DownloadFailed(" ".join(failure.detail for failure in self._failures))


def _progress_of(planned: PlannedFile) -> FileProgress:
    return FileProgress(planned.file.path, planned.file.size, planned.held_bytes)


def _join(threads: Sequence[threading.Thread], stop: Stop) -> None:
    """Wait until all threads ended, or a second after a stop. In short waits, between which Ctrl+C is heard."""
    patience = int(_LEAVE_S / _LOOK_S)
    while patience and any(thread.is_alive() for thread in threads):
        next((thread for thread in threads if thread.is_alive()), threads[0]).join(_LOOK_S)
        patience -= stop.is_set()

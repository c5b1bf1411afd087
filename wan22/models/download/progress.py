"""How a download stands: counted by the threads that do it, read by anybody at any time as a frozen value."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from wan22.models.download.pace import Clock

FileState = Literal["waiting", "checking", "fetching", "done", "failed"]
State = Literal["waiting", "running", "done", "failed", "cancelled"]

_WINDOW_S = 5.0
_LULL_S = 1.0  # without a byte for longer, nothing was being fetched
_TICK_S = 0.25  # bytes of one tick are one entry of the window


@dataclass(frozen=True)
class FileProgress:
    """One file; `done_bytes` are those on disk, which may go down when some turn out wrong."""

    path: str
    size_bytes: int
    done_bytes: int = 0
    source: str | None = None  # in use now, or the last one
    retries: int = 0  # answers that did not give what they should
    state: FileState = "waiting"


@dataclass(frozen=True)
class Traffic:
    """What came over the network, and the seconds in which it did: no lulls, no hashing, no copies from a disk."""

    fetched_bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class DownloadProgress:
    """All files together, at one moment."""

    state: State
    files: tuple[FileProgress, ...]
    fetched_bytes: int  # over the network or from a folder in this run, the ones that were given up too
    bytes_per_s: float  # over the last seconds; once it ended, as it was then
    traffic: Traffic = Traffic()

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def done_bytes(self) -> int:
        """Bytes of all files that are on disk."""
        return sum(file.done_bytes for file in self.files)

    @property
    def retries(self) -> int:
        """Of all files."""
        return sum(file.retries for file in self.files)

    @property
    def eta_s(self) -> float | None:
        """Seconds until the end at the speed of now; None while nothing comes, and once it has ended too soon."""
        left = self.size_bytes - self.done_bytes
        if left == 0:
            return 0.0
        return left / self.bytes_per_s if self.bytes_per_s > 0 and self.state in ("waiting", "running") else None


def _at_rest(file: FileProgress) -> FileProgress:
    return replace(file, state="waiting") if file.state in ("checking", "fetching") else file


class Meter:
    """The one place where progress is counted. Every verb may be called from any thread."""

    def __init__(self, files: Iterable[FileProgress], clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._files = {file.path: file for file in files}
        self._state: State = "waiting"
        self._ended_at: float | None = None
        self._fetched = 0
        self._traffic, self._arrived_at = Traffic(), clock.now()
        self._window: deque[tuple[float, int]] = deque([(clock.now(), 0)])  # when, and how many were fetched by then

    def snapshot(self) -> DownloadProgress:
        """How it stands now."""
        with self._lock:
            now = self._clock.now() if self._ended_at is None else self._ended_at
            self._forget(now)
            files = tuple(self._files.values())
            return DownloadProgress(self._state, files, self._fetched, self._speed(now), self._traffic)

    def enter(self, state: State) -> None:
        """The download as a whole is in that state from now on."""
        with self._lock:
            self._state = state
            self._ended_at = None if state == "running" else self._clock.now()
            if state in ("failed", "cancelled"):
                self._files = {path: _at_rest(file) for path, file in self._files.items()}

    def file(self, path: str, state: FileState, done_bytes: int | None = None) -> None:
        """A file is in that state from now on, and has so many bytes."""
        with self._lock:
            old = self._files[path]
            self._files[path] = replace(
                old, state=state, done_bytes=old.done_bytes if done_bytes is None else done_bytes
            )

    def using(self, path: str, source: str) -> None:
        """A file is being fetched from that source."""
        with self._lock:
            self._files[path] = replace(self._files[path], state="fetching", source=source)

    def retried(self, path: str) -> None:
        """A source did not give what it should."""
        with self._lock:
            self._files[path] = replace(self._files[path], retries=self._files[path].retries + 1)

    def came(self, count: int) -> None:
        """So many bytes came over the network just now."""
        with self._lock:
            now = self._clock.now()
            passed_s = min(now - self._arrived_at, _LULL_S)
            self._traffic = Traffic(self._traffic.fetched_bytes + count, self._traffic.seconds + passed_s)
            self._arrived_at = now

    def got(self, path: str, count: int, done_bytes: int) -> None:
        """So many bytes came, and the file has so many now."""
        with self._lock:
            self._files[path] = replace(self._files[path], done_bytes=done_bytes)
            self._fetched += count
            now = self._clock.now()
            if now - self._window[-1][0] >= _TICK_S:
                self._window.append((now, self._fetched))
                self._forget(now)

    def _forget(self, now: float) -> None:
        """Keep the newest entry that is older than the window, from which the speed is counted, and all after it."""
        while len(self._window) > 1 and self._window[1][0] <= now - _WINDOW_S:
            self._window.popleft()

    def _speed(self, now: float) -> float:
        since, before = self._window[0]
        passed_s = now - since
        return (self._fetched - before) / passed_s if passed_s > 0 else 0.0

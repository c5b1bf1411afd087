"""Threads at a child process's pipes, so that neither side ever waits for the other without being asked to stop."""

from __future__ import annotations

import contextlib
import queue
import threading
from abc import ABC, abstractmethod
from typing import IO

TAIL_BYTES = 2_000


class Feeder:
    """Writes frames to a stream in a thread of its own, one ahead of it, so that who brings them is never stuck."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.error: Exception | None = None  # why the stream takes no more
        self._stream = stream
        self._frames: queue.Queue[memoryview | None] = queue.Queue(maxsize=1)
        self._thread = threading.Thread(target=self._feed, name="ffmpeg-frames", daemon=True)
        self._thread.start()

    def offer(self, frame: memoryview | None, patience_s: float) -> bool:
        """Take the frame, or None as the end, if there is room for it in time."""
        try:
            self._frames.put(frame, timeout=patience_s)
        except queue.Full:
            return False
        return True

    def end(self) -> None:
        """Close the stream after the process is gone, when nothing can block any more."""
        while self._thread.is_alive() and not self.offer(None, 0.1):
            pass
        self._thread.join(1.0)

    def _feed(self) -> None:
        while (frame := self._frames.get()) is not None:
            if self.error is None:
                try:
                    self._stream.write(frame)
                except (OSError, ValueError) as error:  # the process has ended
                    self.error = error
        with contextlib.suppress(OSError, ValueError):
            self._stream.close()


class Drain(ABC):
    """Reads a stream to its end in a thread of its own, so that its writer never blocks."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._thread = threading.Thread(target=self._drain, name="ffmpeg-words", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until the stream has ended, or for a second, if somebody else holds it open."""
        self._thread.join(1.0)

    def _drain(self) -> None:
        with self._stream:
            for line in self._stream:
                self._take(line)

    @abstractmethod
    def _take(self, line: bytes) -> None:
        """One line of what is said."""


class Tail(Drain):
    """Keeps the end of what is said."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._tail = b""
        super().__init__(stream)

    def close(self) -> str:
        """The last words."""
        self.wait()
        return self._tail.decode(errors="replace").strip()

    def _take(self, line: bytes) -> None:
        self._tail = (self._tail + line)[-TAIL_BYTES:]


class Count(Drain):
    """Keeps the number of frames, from lines as `frame=17` that `-progress` writes among others."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.frames = 0
        super().__init__(stream)

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b"=")
        if name == b"frame" and value.strip().isdigit():
            self.frames = int(value)

"""Finds ffmpeg, says what it can do, and feeds frames to it through a pipe. What it is told to do is `recipes`.

ffmpeg reads nothing but raw frames that we made: it is never given a caller's file.
"""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import imageio_ffmpeg

from wan22.errors import DiskFull, EncoderFailed
from wan22.media.pipes import Count, Feeder, Tail

logger = logging.getLogger(__name__)

NEEDED_ENCODERS = ("libx264", "libvpx-vp9", "gif")
CURE = "Install imageio-ffmpeg again, which brings an ffmpeg that works; `wan22 doctor` checks it."
_ASK_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 600.0  # for what is left to encode after the last frame; seconds, even at 1080p on two cores
_POLL_S = 0.1

if sys.platform == "win32":
    _NO_WINDOW = subprocess.CREATE_NO_WINDOW
else:
    _NO_WINDOW = 0


@dataclass(frozen=True)
class FfmpegInfo:
    """An ffmpeg that runs."""

    path: Path
    version: str
    encoders: frozenset[str]  # those of NEEDED_ENCODERS that it has

    @property
    def missing(self) -> tuple[str, ...]:
        """Encoders that outputs need and this ffmpeg lacks."""
        return tuple(name for name in NEEDED_ENCODERS if name not in self.encoders)


def find_ffmpeg() -> Path:
    """The ffmpeg to use: the one that imageio-ffmpeg brings, or finds. Raises EncoderFailed if there is none."""
    try:
        found: str = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise EncoderFailed("There is no ffmpeg.", hint=CURE) from error
    return Path(shutil.which(found) or found).absolute()  # it will be started in another folder


def check_ffmpeg(path: Path | None = None) -> FfmpegInfo:
    """What ffmpeg says of itself; takes a good part of a second, so keep the answer. Raises EncoderFailed."""
    path = path or find_ffmpeg()
    version = re.search(r"ffmpeg version (\S+)", _ask(path, "-version"))
    listed = re.findall(r"^ V\S+ (\S+)", _ask(path, "-encoders"), re.MULTILINE)
    if version is None:
        raise EncoderFailed("What stands in the place of ffmpeg is another program.", hint=CURE)
    return FfmpegInfo(path, version[1], frozenset(listed).intersection(NEEDED_ENCODERS))


def _ask(path: Path, question: str) -> str:
    try:
        answer = subprocess.run(
            [str(path), "-hide_banner", question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EncoderFailed(f"ffmpeg can't be run: {_reason(error)}.", hint=CURE) from error
    return answer.stdout.decode(errors="replace")


def _reason(error: Exception) -> str:
    """An error in words that name no folder of this machine."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, subprocess.CalledProcessError):
        return f"it ended with code {error.returncode}"
    return "it gave no answer in time"


class FramePipe:
    """One run of ffmpeg that reads frames from us. Used by one thread; `abort` may come from any."""

    def __init__(self, path: Path, arguments: Sequence[str], *, folder: Path) -> None:
        """Start ffmpeg in `folder`, so that its words hold file names only. Raises EncoderFailed."""
        try:
            self._process = subprocess.Popen(
                [str(path), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                start_new_session=True,  # Ctrl+C is for the server, which ends its encoders itself
                creationflags=_NO_WINDOW,
            )
        except OSError as error:
            raise EncoderFailed(f"ffmpeg can't be started: {_reason(error)}.", hint=CURE) from error
        self._frames = Feeder(cast(IO[bytes], self._process.stdin))  # there, since PIPE was asked for
        self._words = Tail(cast(IO[bytes], self._process.stderr))
        self._count = Count(cast(IO[bytes], self._process.stdout))

    @property
    def encoded_frames(self) -> int:
        """How many frames ffmpeg says it has encoded; it says so some times a second."""
        return self._count.frames

    def write(self, frame: memoryview, check: Callable[[], None] = lambda: None) -> None:
        """Hand over bytes, which must stay as they are; while ffmpeg is behind, `check` is called and may raise.

        Raises EncoderFailed or DiskFull.
        """
        while not self._frames.offer(frame, _POLL_S):
            check()
        if self._frames.error:
            raise self._failure() from self._frames.error

    def close(self, check: Callable[[], None] | None = None) -> None:
        """End the input and wait for ffmpeg to end well; `check` is called ten times a second and may raise.

        Raises EncoderFailed or DiskFull, with ffmpeg's last words.
        """
        while not self._frames.offer(None, _POLL_S):
            if check:
                check()
        deadline = time.monotonic() + _END_TIMEOUT_S
        if check:
            check()
        while not self._has_ended(_POLL_S):
            if check:
                check()
            if time.monotonic() > deadline:
                self.abort()
        if self._process.returncode != 0:
            raise self._failure()
        self._words.close()
        self._count.wait()

    def abort(self) -> None:
        """Kill ffmpeg, if it still runs, and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        self._frames.end()
        self._words.close()
        self._count.wait()

    def _has_ended(self, patience_s: float) -> bool:
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _failure(self) -> EncoderFailed | DiskFull:
        """The error behind a broken pipe or a bad exit code."""
        if not self._has_ended(5.0):
            self.abort()
        words = self._words.close()
        logger.error("ffmpeg failed: %s", words, extra={"action": "media.ffmpeg_failed"})
        if "No space left on device" in words:
            return DiskFull("The video could not be written: no space is left on the disk.")
        last = " / ".join(words.splitlines()[-3:]) or "it said nothing"
        return EncoderFailed(f"ffmpeg ended with code {self._process.returncode}: {last}", hint=CURE)

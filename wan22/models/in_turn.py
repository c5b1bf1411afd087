"""Runs that are made one after the other and seen as one: a variant may have files of two repositories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from wan22.models.download import DownloadProgress
from wan22.models.download.progress import State, Traffic


class Run(Protocol):
    """What can be watched and stopped: a Download or a Verification."""

    def run(self) -> None:
        """Blocks until it is done. Raises Cancelled after `cancel`."""

    def cancel(self) -> None:
        """End it soon. From any thread."""

    def progress(self) -> DownloadProgress:
        """How it stands now. From any thread."""


class InTurn:
    """Itself a Run; the first that fails ends it. `on_end` is told what came over the network."""

    def __init__(self, runs: Sequence[Run], on_end: Callable[[Traffic], None] = lambda _: None) -> None:
        self._runs = tuple(runs)
        self._on_end = on_end

    def run(self) -> None:
        """All of them, in order. Raises what the one raises that fails."""
        try:
            for run in self._runs:
                run.run()
        finally:
            self._on_end(self.progress().traffic)

    def cancel(self) -> None:
        """End the one that is under way, and begin no other."""
        for run in self._runs:
            run.cancel()

    def progress(self) -> DownloadProgress:
        """All files of all of them, at the speed of the one that is under way or ended last."""
        parts = [run.progress() for run in self._runs]
        begun = [part for part in parts if part.state != "waiting"] or parts
        return DownloadProgress(
            _state(parts),
            tuple(file for part in parts for file in part.files),
            sum(part.fetched_bytes for part in parts),
            begun[-1].bytes_per_s,
            Traffic(sum(part.traffic.fetched_bytes for part in parts), sum(part.traffic.seconds for part in parts)),
        )


def _state(parts: Sequence[DownloadProgress]) -> State:
    states = {part.state for part in parts}
    if len(states) == 1:
        return states.pop()
    ended: tuple[State, ...] = ("failed", "cancelled")
    return next((state for state in ended if state in states), "running")

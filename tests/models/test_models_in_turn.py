"""Several runs seen as one: their order, their sums, one state, one cancel."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from wan22.errors import Cancelled, DownloadFailed
from wan22.models.download import DownloadProgress, FileProgress
from wan22.models.download.progress import State, Traffic
from wan22.models.in_turn import InTurn


@dataclass
class Steps:
    """A run that goes through without waiting, or ends with an error."""

    name: str
    diary: list[str]
    error: Exception | None = None
    state: State = "waiting"
    traffic: Traffic = field(default_factory=lambda: Traffic(10, 2.0))
    is_cancelled: bool = False

    def run(self) -> None:
        self.diary.append(self.name)
        if self.is_cancelled:
            self.state = "cancelled"
            raise Cancelled("It was asked to stop.")
        if self.error:
            self.state = "failed"
            raise self.error
        self.state = "done"

    def cancel(self) -> None:
        self.is_cancelled = True

    def progress(self) -> DownloadProgress:
        done = 5 if self.state == "done" else 0
        file = FileProgress(f"{self.name}/file", 5, done)
        return DownloadProgress(self.state, (file,), 7, float(len(self.name)), self.traffic)


def test_they_run_in_order_and_are_summed_up() -> None:
    diary: list[str] = []
    told: list[Traffic] = []
    runs = InTurn([Steps("one", diary), Steps("three", diary)], told.append)
    assert runs.progress().state == "waiting"
    runs.run()
    seen = runs.progress()
    assert diary == ["one", "three"]
    assert (seen.state, seen.size_bytes, seen.done_bytes, seen.fetched_bytes) == ("done", 10, 10, 14)
    assert seen.bytes_per_s == 5.0, "the speed of the last one"
    assert told == [Traffic(20, 4.0)]


def test_the_first_that_fails_ends_all_and_what_came_is_told() -> None:
    diary: list[str] = []
    told: list[Traffic] = []
    runs = InTurn([Steps("a", diary), Steps("b", diary, DownloadFailed("no source")), Steps("c", diary)], told.append)
    with pytest.raises(DownloadFailed):
        runs.run()
    assert (diary, runs.progress().state, len(told)) == (["a", "b"], "failed", 1)


def test_a_cancel_before_the_start_begins_nothing_more() -> None:
    diary: list[str] = []
    runs = InTurn([Steps("a", diary), Steps("b", diary)])
    runs.cancel()
    with pytest.raises(Cancelled):
        runs.run()
    assert (diary, runs.progress().state) == (["a"], "cancelled")


@pytest.mark.parametrize(
    ("states", "together"),
    [
        (("done", "waiting"), "running"),
        (("running", "waiting"), "running"),
        (("done", "failed"), "failed"),
        (("failed", "cancelled"), "failed"),
        (("done", "cancelled"), "cancelled"),
        (("waiting", "waiting"), "waiting"),
    ],
)
def test_one_word_for_all(states: tuple[State, ...], together: State) -> None:
    runs = [Steps("a", [], state=state) for state in states]
    assert InTurn(runs).progress().state == together

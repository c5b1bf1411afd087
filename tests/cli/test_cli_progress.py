"""What is told while a task runs: each phase once where lines are kept, a bar on a terminal, nothing on stdout."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from typing import Any

import pytest
from rich.console import Console

from wan22.cli.progress import PHASE_WORDS, ProgressView, eta_words, step_words, words_of
from wan22.tasks import Event, EventType, Phase

RUN = [
    (EventType.TASK_QUEUED, {"position": 2}),
    (EventType.TASK_STARTED, {"attempts": 1}),
    (EventType.TASK_PROGRESS, {"phase": "loading", "progress": 0.01}),
    (EventType.TASK_PROGRESS, {"phase": "denoise", "progress": 0.4, "step": 2, "total_steps": 4, "eta_s": 61.0}),
    (EventType.TASK_PREVIEW, {"image": ""}),
    (EventType.TASK_PROGRESS, {"phase": "denoise", "progress": 0.6, "step": 3, "total_steps": 4, "eta_s": 1.0}),
    (EventType.TASK_COMPLETED, {"outputs": 1}),
]


def event(kind: EventType, data: dict[str, Any]) -> Event:
    return Event(id=1, type=kind, task_id="t", at=datetime.now(timezone.utc), data=data)


def shown(*, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None, legacy_windows=False)
    with ProgressView(console) as view:
        for kind, data in RUN:
            view(event(kind, data))
        view._bar.refresh()
    return console.file.getvalue()


def test_elsewhere_each_phase_is_one_line() -> None:
    assert shown(terminal=False).splitlines() == ["waiting, number 2 in the queue", "loading the model", "denoising"]


def test_a_terminal_gets_a_bar() -> None:
    drawn = shown(terminal=True)
    assert "denoising" in drawn
    assert "60%" in drawn
    assert "step 3/4" in drawn
    assert "about 1 s left" in drawn


def test_every_phase_has_words() -> None:
    assert set(PHASE_WORDS) == {phase.value for phase in Phase}


@pytest.mark.parametrize("data", [{}, {"phase": "of tomorrow"}, {"phase": None}])
def test_an_event_that_says_nothing_changes_nothing(data: dict[str, Any]) -> None:
    assert words_of(event(EventType.TASK_PROGRESS, data)) == ""


def test_steps_and_time_left() -> None:
    assert step_words({"step": None, "total_steps": 4}) == ""
    assert [eta_words(value) for value in (None, 0.4, 59.6, 119, 121, 3600, 12_700)] == [
        "",
        "about 0 s left",
        "about 60 s left",
        "about 119 s left",
        "about 2 min left",
        "about 60 min left",
        "about 3 h 31 min left",
    ]

"""Shows on stderr how a task goes: a bar on a terminal, a line for each phase elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from wan22.cli.finding import time_words
from wan22.tasks import Event, EventType, Phase

PHASE_WORDS = {
    Phase.LOADING.value: "loading the model",
    Phase.TEXT_ENCODE.value: "reading the prompt",
    Phase.IMAGE_ENCODE.value: "reading the picture",
    Phase.DENOISE.value: "denoising",
    Phase.DECODE.value: "decoding",
    Phase.ENCODE.value: "encoding",
}


class ProgressView:
    """A context manager that is called with each event."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = ""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[step]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[eta]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._row = self._bar.add_task("waiting", total=1.0, step="", eta="")

    def __enter__(self) -> ProgressView:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Show what the event tells."""
        words = words_of(event)
        if words and self._console.is_terminal:
            self._bar.update(
                self._row,
                description=words,
                completed=event.data.get("progress") or 0.0,
                step=step_words(event.data),
                eta=eta_words(event.data.get("eta_s")),
            )
        elif words and words != self._said:
            self._console.print(words)
        self._said = words or self._said


def words_of(event: Event) -> str:
    """What goes on, in words; empty for an event that says nothing of it."""
    if event.type is EventType.TASK_QUEUED:
        position = event.data.get("position")
        return f"waiting, number {position} in the queue" if position else "waiting"
    return PHASE_WORDS.get(str(event.data.get("phase")), "")


def step_words(data: dict[str, Any]) -> str:
    """The steps done of all, while denoising; else nothing."""
    return f"step {data['step']}/{data['total_steps']}" if data.get("step") and data.get("total_steps") else ""


def eta_words(eta_s: float | None) -> str:
    """The time that is left, rounded as people say it."""
    return "" if eta_s is None else f"{time_words(eta_s)} left"

"""How a run speaks while it goes on: phases, progress, previews, and the question whether to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from wan22.tasks.status import Phase


class Reporter(Protocol):
    """Given to whatever does a task's work; called from the thread that does it."""

    def check(self) -> None:
        """Raise `Cancelled` if the task has been asked to stop; called between model blocks too."""

    def phase(self, phase: Phase) -> None:
        """The named phase begins now; the one before it has ended."""

    def progress(self, fraction: float, *, step: int | None = None, total_steps: int | None = None) -> None:
        """The current phase has come to `fraction` (0 to 1); during denoising also the steps done of all steps."""

    def preview(self, jpeg: bytes, *, width: int, height: int) -> None:
        """A picture of how the latents look now."""


@dataclass(frozen=True)
class Silent:
    """The reporter of work that belongs to no task: it tells nobody, and asks `stop` whether to go on."""

    stop: Callable[[], None]  # raises Cancelled

    def check(self) -> None:
        """As `Reporter`."""
        self.stop()

    def phase(self, phase: Phase) -> None:
        """As `Reporter`."""

    def progress(self, fraction: float, *, step: int | None = None, total_steps: int | None = None) -> None:
        """As `Reporter`."""

    def preview(self, jpeg: bytes, *, width: int, height: int) -> None:
        """As `Reporter`."""

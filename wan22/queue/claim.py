"""The right to run a task: handed out by `Queue.claim`, given back with one of the queue's four ways to finish."""

from __future__ import annotations

from dataclasses import dataclass

from wan22.queue.reporter import RunReporter
from wan22.tasks import Status, Task


@dataclass(frozen=True, eq=False)
class Claim:
    """A running task under the fence that its finish must name, and the reporter for whoever runs it."""

    task: Task
    fence: int
    reporter: RunReporter

    def holds(self, task: Task | None) -> bool:
        """Whether that record, as it is now, still runs under this claim."""
        return task is not None and task.status is Status.RUNNING and task.fence == self.fence

    def halt(self) -> None:
        """Stop the run without cancelling its task; `Queue.release` then puts it back."""
        self.reporter.stop()

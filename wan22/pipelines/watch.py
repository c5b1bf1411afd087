"""Looks on while a model computes: progress by the pieces that have begun, and the question whether to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from wan22.tasks import Reporter

FINEST = 0.01  # of a phase: progress is told no more often, since a step of a small model lasts a millisecond


@contextmanager
def watching(modules: Iterable[Any], begins: Callable[[], None]) -> Iterator[None]:
    """Inside, `begins` is called before each forward pass of each of the torch modules; what it raises ends the pass.

    A hook changes no number: results are bitwise the same with and without it.
    """
    handles = [module.register_forward_pre_hook(lambda *_: begins()) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class Ticker:
    """Counts pieces of work out of a known total for one phase, and asks at each whether to stop."""

    def __init__(self, reporter: Reporter, total: int) -> None:
        self._reporter = reporter
        self._total = total
        self._begun = 0
        self._told = 0.0

    def tick(self) -> None:
        """The next piece begins. Raises Cancelled if the task has been asked to stop."""
        self._reporter.check()
        fraction = min(1.0, self._begun / self._total)
        if fraction - self._told >= FINEST:
            self._told = fraction
            self._reporter.progress(fraction)
        self._begun += 1

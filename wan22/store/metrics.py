"""The table of what was measured of the machine, minute by minute, and the sums over tasks. Judging is monitoring's."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wan22.store.table import Table
from wan22.tasks import Phase, Status

Figures = Mapping[str, tuple[float, float]]
"""The mean and the largest by the name of a series."""


@dataclass(frozen=True)
class TaskSums:
    """Tasks of one model in one status: how many, and by phase how many have been in it and their seconds together."""

    model_type: str
    status: Status
    count: int
    phases: Mapping[Phase, tuple[int, float]]


class MetricTable(Table):
    """A row for each minute in which the server ran."""

    def keep(self, minute: int, figures: Figures, *, oldest: int) -> None:
        """Keep a minute's figures, in the place of earlier ones of the same, and drop what is older than `oldest`."""
        self._change(
            "keep_metrics", minute=minute, figures=json.dumps({name: list(two) for name, two in figures.items()})
        )
        self._change("drop_metrics", oldest=oldest)

    def since(self, minute: int) -> list[tuple[int, Figures]]:
        """Every minute from that one on, ascending."""
        return [(int(row["minute"]), _figures(row["figures"])) for row in self._all("metrics_since", minute=minute)]

    def sums(self) -> list[TaskSums]:
        """Tasks by model and status."""
        return [_sums(row) for row in self._all("sums")]

    def completed_since(self, at: datetime) -> int:
        """Tasks that have completed since then."""
        row = self._one("completed_since", at=at.isoformat())
        assert row is not None  # noqa: S101 - a count is always one row
        return int(row["count"])


def _sums(row: sqlite3.Row) -> TaskSums:
    took = {phase: (int(row[f"{phase.value}_count"]), float(row[f"{phase.value}_s"])) for phase in Phase}
    return TaskSums(row["model_type"], Status(row["status"]), row["count"], took)


def _figures(text: str) -> Figures:
    return {name: (mean, most) for name, (mean, most) in json.loads(text).items()}

"""Draws what the stages measured as one picture. Needs matplotlib, which nothing else here does."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

LEARNING = {"psnr": "PSNR of crops, dB", "loss": "loss"}
A_LINE = 5  # stages beside each other
SWAPS = ("ground", "motion", "colour", "shape", "whose")


def draw_curves(folder: Path, picture: Path) -> None:
    """A cell for each stage: above its loss or PSNR, below by how much the loss rises when one word is swapped."""
    from matplotlib.figure import Figure

    stages = {path.stem: _rows(path) for path in sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)}
    lines = math.ceil(len(stages) / A_LINE)
    figure = Figure(figsize=(3.2 * A_LINE, 5 * lines), layout="constrained")
    cells = figure.subplots(2 * lines, A_LINE, squeeze=False)
    for axes in cells.flat:
        axes.set_axis_off()
    for number, (name, rows) in enumerate(stages.items()):
        line, column = divmod(number, A_LINE)
        _draw(name, rows, cells[2 * line][column], cells[2 * line + 1][column])
    picture.parent.mkdir(exist_ok=True)
    figure.savefig(picture, dpi=80)


def _draw(name: str, rows: list[dict[str, Any]], above: Any, below: Any) -> None:
    key = next(key for key in LEARNING if key in rows[0])
    above.set_axis_on()
    above.plot(*_line(rows, key))
    above.set(title=name, xlabel="step", ylabel=LEARNING[key])
    for kind in (kind for kind in SWAPS if any(kind in row for row in rows)):
        below.set_axis_on()
        below.plot(*_line(rows, kind), marker=".", label=kind)
        below.set(xlabel="step", ylabel="loss with that word swapped")
        below.legend()


def _rows(path: Path) -> list[dict[str, Any]]:
    """In the order of the steps; one that was taken twice, as its run was stopped before it was kept, counts once."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return sorted({row["step"]: row for row in rows}.values(), key=lambda row: row["step"])


def _line(rows: list[dict[str, Any]], key: str) -> tuple[list[float], list[float]]:
    there = [row for row in rows if key in row]
    return [row["step"] for row in there], [row[key] for row in there]

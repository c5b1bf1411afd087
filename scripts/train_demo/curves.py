"""Draws what the stages measured as one picture. Needs matplotlib, which nothing else here does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LEARNING = {"psnr": "PSNR of crops, dB", "loss": "loss"}
SWAPS = ("ground", "motion", "colour", "shape", "whose")


def draw_curves(folder: Path, picture: Path) -> None:
    """A column for each stage: above its loss or PSNR, below by how much the loss rises when one word is swapped."""
    from matplotlib.figure import Figure

    stages = {path.stem: _rows(path) for path in sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)}
    figure = Figure(figsize=(3 * len(stages), 5), layout="constrained")
    above, below = figure.subplots(2, len(stages), squeeze=False)
    for column, (name, rows) in enumerate(stages.items()):
        key = next(key for key in LEARNING if key in rows[0])
        above[column].plot(*_line(rows, key))
        above[column].set(title=name, xlabel="step", ylabel=LEARNING[key])
        swaps = [key for key in SWAPS if any(key in row for row in rows)]
        for kind in swaps:
            below[column].plot(*_line(rows, kind), label=kind)
        below[column].set(xlabel="step", ylabel="loss with that word swapped")
        below[column].legend() if swaps else below[column].set_axis_off()
    picture.parent.mkdir(exist_ok=True)
    figure.savefig(picture, dpi=80)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _line(rows: list[dict[str, Any]], key: str) -> tuple[list[float], list[float]]:
    there = [row for row in rows if key in row]
    return [row["step"] for row in there], [row[key] for row in there]

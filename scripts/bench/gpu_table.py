"""The table and the picture of what `gpu_check` measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
_GIB = 2**30


def write_table(rows: Mapping[str, Row], path: Path) -> None:
    """Markdown, a line for each piece, in their order."""
    head = ["model", "size", "cap GB", "way", "plan", "peak GiB foretold", "measured", "s a step", "of matmul peak"]
    lines = [_line([*head, "phases, s"]), _line(["---"] * (len(head) + 1))]
    lines += [_line([*name.split("/"), *_cells(name, row)]) for name, row in sorted(rows.items())]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(name: str, row: Row) -> list[str]:
    ours = name.endswith("/ours")
    plan, predicted = _plan(row["plan"]) if ours else "", row["forecast"]["peak_vram_bytes"] if ours else None
    if "error" in row:
        return [plan, _gib(predicted), row["error"].replace("|", "/")[:80], "", "", ""]
    phases = ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in row["phases"].items())
    share = f"{row['share_of_peak']:.0%}"
    return [plan, _gib(predicted), _gib(row["peak_bytes"]), f"{row['step_s']:.3f}", share, phases]


def _plan(plan: Row) -> str:
    words = [plan["offload"]]
    words += [f"{plan['resident_blocks']} stay"] if plan["offload"] == "blocks" else []
    words += [f"tiles of {plan['vae_tile']}"] if plan["vae_tile"] else []
    words += ["slices"] if plan["slices"] else []
    return ", ".join(words)


def _gib(size: int | None) -> str:
    return "" if size is None else f"{size / _GIB:.2f}"


def write_plot(rows: Mapping[str, Row], path: Path) -> None:
    """Seconds a step by cap, a panel for each model and size; nothing where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return
    panels: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for name, row in rows.items():
        model, size, cap, way = name.split("/")
        if "error" not in row:
            panels.setdefault(f"{model} {size}", {}).setdefault(way, []).append((cap, row["step_s"]))
    if not panels:
        return
    figure = Figure(figsize=(10, 2.5 * len(panels)), layout="constrained")
    for axes, (title, ways) in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels.items(), strict=True):
        for way, points in ways.items():
            axes.plot(*zip(*points, strict=True), marker="o", label=way)
        axes.set(title=title, ylabel="s a step", xlabel="cap, GB")
        axes.set_ylim(bottom=0)
        axes.legend()
    figure.savefig(path)

"""Full-size models with random weights on a GPU: plans against what happens, beside bare diffusers in the same run.

    python scripts/bench/gpu_check.py [--out FOLDER] [--minutes 8] [--only T2V-A14B/1280x720x16/12/ours] [--tiny]

Each piece is a model, a size (1280x720x16, 854x480x16, 1920x1080x16, 1280x720x81), a cap on the GPU's memory (6, 10,
12, 16 GB, none) and a way: `ours`, or diffusers' `model`, `group` or `sequential` offload. It gives the plan, predicted
and measured peak, seconds a step and a phase, and the share of what large matrix products reach here. `--only` takes
the pieces that begin so; a `*` stands for any word.

Pieces that share weights share a process. After `--minutes` no new piece begins; the same command goes on where it
ended, by `results.json` of the folder, beside which `table.md` and `seconds.png` (with matplotlib) are written.
`--tiny` does the same with the sizes of the demo weights, on a CPU too, where plans are those of an RTX 4080 and times
mean nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "scripts" / "bench"), str(ROOT)]

from gpu_models import bare, components, loaded  # noqa: E402 - found through the line above
from gpu_plans import machine_for, planned  # noqa: E402 - as above
from gpu_runs import matmul_tflops, offload, run_bare, run_ours  # noqa: E402 - as above
from gpu_table import write_plot, write_table  # noqa: E402 - as above

from wan22.errors import Wan22Error  # noqa: E402 - as above
from wan22.models.arithmetic import Transformer  # noqa: E402 - as above
from wan22.models.catalogue import SPECS  # noqa: E402 - as above
from wan22.models.cost import tokens_of  # noqa: E402 - as above
from wan22.models.demo_weights import SHIPPED  # noqa: E402 - as above
from wan22.tasks import ModelType, Plan, Request  # noqa: E402 - as above

SIZES = ((1280, 720, 16), (854, 480, 16), (1920, 1080, 16), (1280, 720, 81))
TINY_SIZES = ((64, 64, 4), (54, 48, 4), (96, 64, 4), (64, 64, 9))
CAPS_GB = (6, 10, 12, 16, None)
WAYS = ("ours", "model", "group", "sequential")


_FAULTS = (Wan22Error, RuntimeError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError)


@dataclass(frozen=True)
class Piece:
    """One row of the table."""

    model: str
    size: tuple[int, int, int]
    cap_gb: int | None
    way: str

    @property
    def name(self) -> str:
        """As `--only` takes it."""
        cap = "none" if self.cap_gb is None else str(self.cap_gb)
        return f"{self.model}/{'x'.join(map(str, self.size))}/{cap}/{self.way}"


def pieces(only: str, *, tiny: bool) -> Iterator[Piece]:
    """Those that are asked for, by what they share."""
    wanted = only.split("/") if only else []
    for model, way, size, cap in itertools.product(ModelType, WAYS, TINY_SIZES if tiny else SIZES, CAPS_GB):
        piece = Piece(model.value, size, cap, way)
        if all(word in ("*", part) for word, part in zip(wanted, piece.name.split("/"), strict=False)):
            yield piece


class Results:
    """What was measured, in a file that is written anew after each piece."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "results.json"
        folder.mkdir(parents=True, exist_ok=True)
        self.rows: dict[str, Any] = json.loads(self._path.read_text("utf-8")) if self._path.exists() else {}

    def add(self, piece: Piece, row: dict[str, Any]) -> None:
        """Keep a row."""
        self.rows[piece.name] = row
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(self.rows, indent=1), "utf-8")
        fresh.replace(self._path)


def measure(wanted: list[Piece], results: Results, *, tiny: bool, until: float) -> None:
    """Run pieces of one model and one way, one after the other."""
    device, machine = machine_for(tiny=tiny)
    peak_tflops = matmul_tflops(device)
    held: tuple[str, Any] | None = None
    for piece in wanted:
        if time.time() > until:
            return
        request, plan, foretold = planned(piece, machine, device)
        row: dict[str, Any] = {"plan": plan.model_dump(mode="json"), "forecast": foretold.model_dump(mode="json")}
        try:
            cap(device, piece.cap_gb)
            kind = plan.offload if piece.way == "ours" else piece.way
            if held is None or held[0] != kind:
                held = None  # before the next ones are made
                held = kind, made(piece, plan, tiny=tiny)
            row |= run(piece, held[1], request, plan)
            row["share_of_peak"] = operations(piece, request, plan, tiny=tiny) / row["step_s"] / (1e12 * peak_tflops)
        except _FAULTS as error:  # a way that can't run under this cap is a result; the others go on
            row["error"] = " ".join(str(error).split())[:200] or type(error).__name__
            row["trace"] = traceback.format_exc(limit=-3)
            held = None
        results.add(piece, {**row, "tflops": peak_tflops})
        print(f"{piece.name}: {row.get('error') or format(row['step_s'], '.3f') + ' s a step'}", flush=True)


def made(piece: Piece, plan: Plan, *, tiny: bool) -> Any:
    """The weights, in this piece's way."""
    model_type = ModelType(piece.model)
    parts = components(model_type, plan, tiny=tiny)
    if piece.way == "ours":
        return loaded(model_type, parts, plan)
    pipeline = bare(model_type, parts)
    offload(pipeline, piece.way, plan.device)
    return pipeline


def run(piece: Piece, model: Any, request: Request, plan: Plan) -> dict[str, Any]:
    """Measure it."""
    if piece.way == "ours":
        return run_ours(model, request, plan)
    model.vae.disable_tiling()
    if plan.vae_tile:  # as the documentation advises where memory is scarce
        model.vae.enable_tiling()
    return run_bare(model, request, plan)


def cap(device: str, cap_gb: int | None) -> None:
    """Let torch have so much of the GPU."""
    if device.startswith("cuda"):
        import torch

        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(1.0 if cap_gb is None else min(1.0, cap_gb * 1e9 / total), device)


def operations(piece: Piece, request: Request, plan: Plan, *, tiny: bool) -> float:
    """Of one step, counted."""
    spec = SPECS[ModelType(piece.model)]
    shipped = SHIPPED / spec.slug / "transformer" / "config.json"
    config = json.loads(shipped.read_text("utf-8")) if tiny else spec.transformer
    return 2 * Transformer.of(config).operations(tokens_of(spec, plan.render)).total


def main() -> int:
    """Measure what is left, and write the table of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gpu_check")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--child", nargs=3, metavar=("MODEL", "WAY", "UNTIL"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    left = [piece for piece in pieces(asked.only, tiny=asked.tiny) if piece.name not in Results(asked.out).rows]
    if asked.child:
        model, way, until = asked.child
        mine = [piece for piece in left if (piece.model, piece.way) == (model, way)]
        measure(mine, Results(asked.out), tiny=asked.tiny, until=float(until))
        return 0
    until = time.time() + 60 * asked.minutes
    for model, way in dict.fromkeys((piece.model, piece.way) for piece in left):
        if time.time() < until:
            command = [sys.executable, __file__, *sys.argv[1:], "--child", model, way, str(until)]
            subprocess.run(command, check=False)  # one that dies leaves its pieces to be tried again
    rows = Results(asked.out).rows
    write_table(rows, asked.out / "table.md")
    write_plot(rows, asked.out / "seconds.png")
    open_ = [piece for piece in pieces(asked.only, tiny=asked.tiny) if piece.name not in rows]
    print(f"{len(rows)} pieces are measured, {len(open_)} are left; see {asked.out / 'table.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

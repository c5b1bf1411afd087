"""What compiling the transformers' blocks costs at the first task and gains at later ones, on the demo weights.

    python scripts/bench/compiled.py [--kind t2v] [--tasks 4] [--json FILE]

Three processes, one after the other, make the same videos through the server's phases: as they are; compiled, with
nothing kept from before; compiled, with what the second one kept on disk. Seconds by the clock, of the first task and
of the quickest later one, no loading of weights in them, and the PSNR of all frames to those of the first process.

Ends with 1 if a compiled frame is under 60 dB from the plain one. What is gained is told and not judged.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent)]

from demo_quality import MODELS, cases, shots  # noqa: E402 - through the line above
from demo_runners import Unheard  # noqa: E402 - as above
from quality import Studio, Way  # noqa: E402 - as above
from train_demo.drawing import Frames  # noqa: E402 - as above
from train_demo.sight import psnr  # noqa: E402 - as above

from wan22.hardware.process import prepare_process  # noqa: E402 - as above
from wan22.pipelines.compiled import compiled  # noqa: E402 - as above
from wan22.pipelines.loaded import LoadedModel  # noqa: E402 - as above

AT_LEAST_DB = 60
ROWS = {"plain": False, "compiled": True, "compiled, kept": True}


@dataclass(frozen=True)
class Row:
    """Seconds of each task of one process, and its videos, (tasks, T, H, W, 3)."""

    seconds: list[float]
    frames: Frames

    @property
    def later_s(self) -> float:
        """Of the quickest after the first."""
        return min(self.seconds[1:])


def blocks_compiled(model: LoadedModel) -> AbstractContextManager[None]:
    """All blocks of all experts, compiled inside."""
    return compiled([block for expert in model.experts for block in expert.blocks])


def work(kind: str, tasks: int, folder: Path, *, is_compiled: bool) -> Row:
    """Make the videos in this process; the weights are there before the first is timed."""
    prepare_process(compiled=folder / "kept")
    studio = Studio(folder)
    way = Way(changed=blocks_compiled) if is_compiled else Way()
    sent = list(shots(kind, cases(kind, tasks, vary=False, seed=0), {}))
    studio.load(sent[0], way)[2].bring_text_encoder(Unheard())
    seconds, frames = [], []
    for shot in sent:
        began = time.perf_counter()
        frames.append(studio.make(shot, way).frames)
        seconds.append(round(time.perf_counter() - began, 2))
    return Row(seconds, np.stack(frames))


def measured(options: argparse.Namespace, folder: Path, name: str) -> Row:
    """One row, in a process of its own."""
    out = folder / "frames.npy"
    command = [sys.executable, __file__, "--kind", options.kind, "--tasks", str(options.tasks), "--child", str(out)]
    command += ["--compile"] if ROWS[name] else []
    environment = {key: value for key, value in os.environ.items() if key != "TORCHINDUCTOR_CACHE_DIR"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return Row(json.loads(done.stdout.splitlines()[-1]), np.load(out))


def said(name: str, row: Row, plain: Row) -> dict[str, float]:
    """The figures of one row, printed as they come."""
    decibels = [psnr(one, two) for one, two in zip(plain.frames, row.frames, strict=True)]
    figures = {
        "first_s": row.seconds[0],
        "later_s": row.later_s,
        "later_of_plain": round(row.later_s / plain.later_s, 3),
        "psnr_db_least": round(min(decibels), 1),
    }
    print(f"{name:16}" + "".join(f"{value:16}" for value in figures.values()), flush=True)
    return figures


def main() -> int:
    """Measure and print; 1 if compiled frames are not the plain ones."""
    options = _options()
    with tempfile.TemporaryDirectory() as home:
        if options.child:
            row = work(options.kind, options.tasks, options.child.parent, is_compiled=options.compile)
            np.save(options.child, row.frames)
            print(json.dumps(row.seconds))
            return 0
        print(f"{'':16}{'first s':>16}{'later s':>16}{'of plain':>16}{'PSNR dB, least':>16}")
        run = partial(measured, options, Path(home))
        plain = run("plain")
        rows = {name: said(name, plain if name == "plain" else run(name), plain) for name in ROWS}
    result = {"kind": options.kind, "tasks": options.tasks, "rows": rows}
    print(json.dumps(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return int(min(row["psnr_db_least"] for row in rows.values()) < AT_LEAST_DB)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=MODELS, default="t2v")
    parser.add_argument("--tasks", type=int, default=4, help="two or more")
    parser.add_argument("--json", type=Path, help="a file for the rows")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--compile", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.tasks < 2:
        parser.error("--tasks is at least 2, the first and a later one")
    return options


if __name__ == "__main__":
    sys.exit(main())

"""The command line: which stages to train, on what, and where their state is.

A stage that was stopped goes on; one that has ended is not done again. Several may run at once,
in processes of their own, where none needs what another makes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from train_demo import device
from train_demo.stages import STAGES, unpack

FOLDER = Path(__file__).resolve().parents[2] / "build" / "train_demo"


def main() -> int:
    """Train the stages that the command line names."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", nargs="*", help=f"in this order; by default all of {', '.join(STAGES)}")
    parser.add_argument("--threads", type=int, help="how many threads torch uses")
    parser.add_argument("--device", help="cpu, cuda or cuda:N; by default a GPU, if torch has one")
    parser.add_argument(
        "--from-shipped", action="store_true", help="first make the shipped weights the state of the last stages"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the state of the training is kept")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    device.use(asked.device)
    if unknown := set(asked.stage) - set(STAGES):
        parser.error(f"no stage is called {', '.join(sorted(unknown))}; see --help")
    if asked.from_shipped:
        unpack(asked.folder)
    for name in asked.stage or STAGES:
        STAGES[name](asked.folder)
    return 0

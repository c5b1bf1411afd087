"""The command line: which stages to train, with how many threads, and where their state is."""

from __future__ import annotations

import argparse
from pathlib import Path

from train_demo.stages import STAGES

FOLDER = Path(__file__).resolve().parents[2] / "build" / "train_demo"


def main() -> int:
    """Train the stages that the command line names."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", nargs="+", choices=STAGES, help="in this order")
    parser.add_argument("--threads", type=int, help="how many threads torch uses")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the state of the training is kept")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    for name in asked.stage:
        STAGES[name](asked.folder)
    return 0

"""What torch reads once from the process's environment and settings; to be set before torch is imported.

By default a thread of OpenMP that waits for the others spins. Where another program, or our own event loop, holds a
core, the spinning threads take the time that the last one needs: on two busy cores a small model ran six times
slower. Waiting asleep costs nothing measurable on a quiet machine.
"""

from __future__ import annotations

import os

DEFAULTS = {
    "OMP_WAIT_POLICY": "PASSIVE",  # GNU's OpenMP, Linux
    "KMP_BLOCKTIME": "0",  # Intel's and LLVM's, Windows and macOS
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # so that cuda:1 is the second GPU that the driver lists, as the probe counts
}


def prepare_process() -> None:
    """Set the defaults where the user has not chosen; does nothing once torch is loaded."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def use_threads(count: int) -> None:
    """Let torch work with `count` threads in the calling thread from now on; 0 leaves it to torch."""
    if count:
        import torch

        torch.set_num_threads(count)

"""What this process and the thread that computes are set to: torch's environment, threads, cores, share of the VRAM.

By default a thread of OpenMP that waits for the others spins. Where another program, or our own event loop, holds a
core, the spinning threads take the time that the last one needs: on two busy cores a small model ran six times
slower. Waiting asleep costs nothing measurable on a quiet machine.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from wan22.hardware.probe import os_name

DEFAULTS = {
    "OMP_WAIT_POLICY": "PASSIVE",  # GNU's OpenMP, Linux
    "KMP_BLOCKTIME": "0",  # Intel's and LLVM's, Windows and macOS
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # so that cuda:1 is the second GPU that the driver lists, as the probe counts
    "CUDA_MODULE_LOADING": "LAZY",  # kernels are loaded when they are first used, and take no VRAM before
}
SEGMENTS = {"PYTORCH_ALLOC_CONF": "expandable_segments:True"}
"""Blocks of VRAM that grow in place, so that sizes which differ from task to task leave no holes. On Linux alone:
torch's releases for Windows refuse it, and some drivers break it under WSL."""


def defaults(system: str) -> dict[str, str]:
    """What torch is to read at its start, on a `system` as the probe calls it."""
    return DEFAULTS | (SEGMENTS if has_segments(system) else {})


def has_segments(system: str) -> bool:
    """Whether that system's releases of torch can have expandable segments."""
    return system.startswith("Linux") and "WSL" not in system


def prepare_process(*, compiled: Path | None = None) -> None:
    """Set the environment's defaults where the user has not chosen; does nothing once torch is loaded.

    `compiled`: the folder for what torch will compile, which the next process finds there.
    """
    for name, value in defaults(os_name()).items():
        os.environ.setdefault(name, value)
    if compiled:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(compiled))


def use_threads(count: int) -> None:
    """Let torch work with `count` threads in the calling thread from now on; 0 leaves it to torch."""
    if count:
        import torch

        torch.set_num_threads(count)


def can_move() -> bool:
    """Whether the system lets a thread say on which cores it runs: Linux does."""
    return hasattr(os, "sched_setaffinity")


def run_on(cores: Collection[int]) -> None:
    """Let the calling thread, and those that it starts, run on these cores alone.

    Memory comes from where it is first written, so that the weights that it reads lie near these cores, too.
    Raises OSError where none of the cores may be used.
    """
    os.sched_setaffinity(0, cores)  # type: ignore[attr-defined,unused-ignore]  # where there is one


def limit_vram(device: str, share: float) -> None:
    """Let torch take at most `share` of the VRAM of `device` (cuda:N); more is an error, and no slow spill into RAM."""
    import torch

    torch.cuda.set_per_process_memory_fraction(share, device)

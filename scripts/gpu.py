"""Finds an NVIDIA GPU before torch is there to ask. Knows nothing of torch's builds: `torch_build` does."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

from commands import Commands

# Where the tool is when it is not on the path: WSL 2 and Windows.
SMI_PATHS = ("nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi", r"C:\Windows\System32\nvidia-smi.exe")


@dataclass(frozen=True)
class Gpu:
    """The first NVIDIA GPU: the newest CUDA its driver runs, and its compute capability; None where nobody says."""

    driver_cuda: tuple[int, int] | None = None
    capability: tuple[int, int] | None = None


def find_gpu(commands: Commands, library: Callable[[], Gpu | None] | None = None) -> Gpu | None:
    """The first NVIDIA GPU that its driver answers for, asked by nvidia-smi, else by NVML (`library`); None if none."""
    for smi in SMI_PATHS:
        table = commands.ask([smi])
        if table.ok and "CUDA" in table.out:
            first = commands.ask([smi, "--query-gpu=compute_cap", "--format=csv,noheader"]).out
            # "CUDA Version: 12.4"; newer drivers write "CUDA UMD Version: 13.1"
            return Gpu(_pair(r"CUDA (?:UMD )?Version:\s*(\d+)\.(\d+)", table.out), _pair(r"^\s*(\d+)\.(\d+)", first))
    return (library or ask_nvml)()


def ask_nvml() -> Gpu | None:
    """The GPU by NVIDIA's management library, which a container may have where it lacks nvidia-smi."""
    try:
        nvml = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
        count, cuda = ctypes.c_uint(0), ctypes.c_int(0)
        if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) or not count.value:
            return None
        if nvml.nvmlSystemGetCudaDriverVersion_v2(ctypes.byref(cuda)):
            return Gpu()
    except (OSError, AttributeError):
        return None  # no driver, or one too old to have these functions
    return Gpu(driver_cuda=(cuda.value // 1000, cuda.value % 1000 // 10))


def _pair(pattern: str, text: str) -> tuple[int, int] | None:
    found = re.search(pattern, text, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else None

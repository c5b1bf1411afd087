"""Takes a snapshot of the machine from psutil, the NVIDIA driver and the installed torch's files. Never fails.

torch is not imported for it: that takes seconds, and the command line must answer at once.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import itertools
import os
import platform
import re
import shutil
import sys
import sysconfig
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psutil
import pynvml

from wan22.hardware.machine import Gpu, Machine

T = TypeVar("T")


class Nvml(Hashable, Protocol):
    """The calls of nvidia-ml-py that are used; a fake with the same ones can stand in."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...  # noqa: N802 - nvidia-ml-py's names, here and below

    def nvmlDeviceGetCount(self) -> int: ...  # noqa: N802

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...  # noqa: N802

    def nvmlDeviceGetName(self, handle: Any) -> str: ...  # noqa: N802

    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any: ...  # noqa: N802

    def nvmlDeviceGetCudaComputeCapability(self, handle: Any) -> tuple[int, int]: ...  # noqa: N802

    def nvmlSystemGetDriverVersion(self) -> str: ...  # noqa: N802

    def nvmlDeviceGetMaxPcieLinkGeneration(self, handle: Any) -> int: ...  # noqa: N802

    def nvmlDeviceGetMaxPcieLinkWidth(self, handle: Any) -> int: ...  # noqa: N802

    def nvmlDeviceGetCpuAffinity(self, handle: Any, words: int) -> Any: ...  # noqa: N802


def probe(nvml: Nvml = pynvml) -> Machine:
    """The machine as it is now: what can change (free RAM, free VRAM) is read at each call."""
    memory = psutil.virtual_memory()
    version, cuda = installed_torch()
    return Machine(
        os=os_name(),
        cpu=_cpu_name(),
        cores=psutil.cpu_count() or 1,
        ram_total_bytes=memory.total,
        ram_available_bytes=memory.available,
        gpus=visible(gpus(nvml), os.environ.get("CUDA_VISIBLE_DEVICES")),
        torch_version=version,
        torch_cuda=cuda,
        cpu_bf16_fast="amx_bf16" in _cpu_flags(),
        has_mps=platform.system() == "Darwin" and platform.machine() == "arm64",
        swap_bytes=_swap_bytes(),
        numa_nodes=numa_nodes(Path("/sys/devices/system/node")),
        attention_packages=_versions("flash-attn", "sageattention"),
        has_cpp_compiler=has_cpp_compiler(os.environ.get("CXX")),
        has_triton=bool(_versions("triton", "triton-windows")),
    )


def gpus(nvml: Nvml) -> tuple[Gpu, ...]:
    """The NVIDIA GPUs; none where there is no driver. One that hides its memory can't be planned for: left out."""
    if not _told(nvml, lambda: _opened(nvml)):
        return ()
    count = _told(nvml, nvml.nvmlDeviceGetCount) or 0
    found = [_gpu(nvml, index) for index in range(count)]
    return tuple(gpu for gpu in found if gpu)


def visible(found: tuple[Gpu, ...], only: str | None) -> tuple[Gpu, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves to CUDA, in its order and numbered anew, as torch will number them.

    Like CUDA, stops at the first number that is no GPU's. Names in the place of numbers can't be told apart here: then
    all are given.
    """
    if only is None or re.search(r"[A-Za-z]", only):
        return found
    by_index = {str(gpu.index): gpu for gpu in found}
    named = itertools.takewhile(by_index.__contains__, (part.strip() for part in only.split(",")))
    return tuple(replace(by_index[name], index=index) for index, name in enumerate(named))


@functools.lru_cache(maxsize=8)
def _opened(nvml: Nvml) -> bool:
    """The driver stays open once it has answered: without another user of the GPU each opening may take a second."""
    nvml.nvmlInit()
    return True


def _gpu(nvml: Nvml, index: int) -> Gpu | None:
    handle = _told(nvml, lambda: nvml.nvmlDeviceGetHandleByIndex(index))
    memory = None if handle is None else _told(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    if memory is None:
        return None
    capability = _told(nvml, lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle))
    return Gpu(
        index=index,
        name=_told(nvml, lambda: nvml.nvmlDeviceGetName(handle)) or f"NVIDIA GPU {index}",
        vram_total_bytes=int(memory.total),
        vram_free_bytes=int(memory.free),
        compute_capability=None if capability is None else (capability[0], capability[1]),
        driver=_told(nvml, nvml.nvmlSystemGetDriverVersion),
        pcie=_told(nvml, lambda: _slot(nvml, handle)),
        near_cores=_told(nvml, lambda: _near_cores(nvml, handle)),
    )


def _slot(nvml: Nvml, handle: Any) -> tuple[int, int]:
    """What card and slot can do together; the link of now is slower while nothing is computed."""
    return int(nvml.nvmlDeviceGetMaxPcieLinkGeneration(handle)), int(nvml.nvmlDeviceGetMaxPcieLinkWidth(handle))


def _near_cores(nvml: Nvml, handle: Any) -> frozenset[int]:
    """From the driver's bits, one for each core, in words of the system's `unsigned long`."""
    count = psutil.cpu_count() or 1
    bits = 8 * ctypes.sizeof(ctypes.c_ulong)
    words = list(nvml.nvmlDeviceGetCpuAffinity(handle, -(-count // bits)))
    return frozenset(core for core in range(count) if words[core // bits] >> core % bits & 1)


def _told(nvml: Nvml, ask: Callable[[], T]) -> T | None:
    """The driver's answer, or None where it has none: under Windows many figures are not supported."""
    try:
        return ask()
    except (nvml.NVMLError, OSError, ValueError):  # beside its own: a broken library, a name that is no text
        return None


@functools.lru_cache(maxsize=1)  # no torch is replaced under a running process
def installed_torch() -> tuple[str | None, str | None]:
    """Version and CUDA version of the installed torch, from its files; (None, None) if there is none."""
    try:
        distribution = importlib.metadata.distribution("torch")
    except importlib.metadata.PackageNotFoundError:
        return None, None
    stated = Path(str(distribution.locate_file("torch/version.py")))
    return distribution.version, cuda_of(stated.read_text("utf-8")) if stated.is_file() else None


def cuda_of(version_module: str) -> str | None:
    """The CUDA version that torch/version.py states; None for a CPU build, and where it states none."""
    cuda = re.search(r"^cuda\b[^=\n]*= *['\"]([\d.]+)['\"]", version_module, re.MULTILINE)
    return cuda and cuda.group(1)


def has_cpp_compiler(named: str | None) -> bool:
    """Whether there is the one that torch would call, `named` where the user has chosen, and Python's headers."""
    name = named or {"win32": "cl", "darwin": "clang++"}.get(sys.platform, "g++")
    return bool(shutil.which(name)) and Path(sysconfig.get_path("include"), "Python.h").is_file()


@functools.lru_cache(maxsize=4)  # no package comes or goes under a running process
def _versions(*packages: str) -> Mapping[str, str]:
    """Of those that are installed."""
    found = {}
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _swap_bytes() -> int | None:
    try:
        return int(psutil.swap_memory().total)
    except (OSError, RuntimeError):  # Windows with its performance counters off
        return None


def numa_nodes(folder: Path) -> int:
    """How many the system lists there; 1 where it lists none, as elsewhere than on Linux."""
    return max(1, sum(1 for path in folder.glob("node[0-9]*")))


def os_name() -> str:
    """The system as people say it; the kernel that Windows runs Linux on names its maker."""
    is_wsl = "microsoft" in platform.release().lower()
    return f"{platform.system()} {platform.release()}{' (WSL)' if is_wsl else ''}"


def _cpu_name() -> str:
    named = re.search(r"^model name\s*: (.+)$", _proc_cpuinfo(), re.MULTILINE)
    return named.group(1) if named else platform.processor() or platform.machine()


def _cpu_flags() -> frozenset[str]:
    """Features of the CPU where the system lists them; AMX is the one that makes bf16 pay (AVX2 was 4 times slower)."""
    flags = re.search(r"^flags\s*: (.+)$", _proc_cpuinfo(), re.MULTILINE)
    return frozenset(flags.group(1).split()) if flags else frozenset()


@functools.lru_cache(maxsize=1)  # a megabyte on large machines, and always the same
def _proc_cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text("utf-8", "replace") if path.is_file() else ""

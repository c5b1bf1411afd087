"""A snapshot of the machine as values. An absent part or figure is an empty tuple or None, never an error or a zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU as its driver tells of it."""

    index: int
    name: str
    vram_total_bytes: int
    vram_free_bytes: int
    compute_capability: tuple[int, int] | None = None  # major, minor; (8, 9) is an RTX 4080
    driver: str | None = None
    pcie: tuple[int, int] | None = None  # generation and lanes of its slot; (4, 16) is what an RTX 4080 can use
    near_cores: frozenset[int] | None = None  # on the processor that its slot is on

    @property
    def bus_bytes_per_s(self) -> float | None:
        """From pinned RAM: 25 GB/s of the 31.5 that PCIe 4.0 carries with 16 lanes, and such a share of others."""
        if self.pcie is None:
            return None
        generation, lanes = self.pcie
        return 25e9 * lanes / 16 * 2.0 ** (generation - 4)


@dataclass(frozen=True)
class Machine:
    """What there is to compute with."""

    os: str  # as people say it: Windows 10, Linux 6.1
    cpu: str
    cores: int  # logical ones
    ram_total_bytes: int
    ram_available_bytes: int
    gpus: tuple[Gpu, ...] = ()
    torch_version: str | None = None  # None: torch is not installed
    torch_cuda: str | None = None  # CUDA version of the installed torch; None for a build without
    cpu_bf16_fast: bool = False  # whether the CPU multiplies bf16 matrices faster than fp32 ones
    has_mps: bool = False  # Apple's GPU
    swap_bytes: int | None = None  # in all
    numa_nodes: int = 1  # parts of the RAM that are near to some of the cores
    attention_packages: Mapping[str, str] = field(default_factory=dict)  # versions of those that are installed
    has_cpp_compiler: bool = False  # that can build what Python loads
    has_triton: bool = False  # torch's compiler for GPUs

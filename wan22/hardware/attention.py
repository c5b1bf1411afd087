"""Which kernels compute attention, and whether blocks can be compiled on a machine. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wan22.errors import ConfigurationError
from wan22.hardware.choose import gpu_of
from wan22.hardware.machine import Machine

NATIVE = "native"
"""torch's own attention, which is always there and picks a kernel itself. All these names are diffusers' own."""


@dataclass(frozen=True)
class Kernel:
    """A package that brings attention of its own, the oldest version that diffusers takes, and what it runs on."""

    package: str
    since: tuple[int, ...]
    capability: tuple[int, int] = (8, 0)


KERNELS = {"flash": Kernel("flash-attn", (2, 6, 3)), "sage": Kernel("sageattention", (2, 1, 1))}
"""All of them calculate in 16 bits alone, on NVIDIA's GPUs."""


def choose_attention(machine: Machine, device: str, setting: str) -> str:
    """The attention for `setting` (auto, native, flash, sage) on `device`, as diffusers names it.

    auto is native, until another has been measured to gain. Raises ConfigurationError where one is asked for by name
    that the device or the installed packages can't have.
    """
    kernel = KERNELS.get(setting)
    if kernel is None:
        return NATIVE
    if obstacle := _lacks_gpu(machine, device, kernel):
        raise ConfigurationError(f"device.attention is {setting}, which {obstacle}. Set it to auto.")
    wanted = f"{kernel.package}>={'.'.join(map(str, kernel.since))}"
    if _numbers(machine.attention_packages.get(kernel.package)) < kernel.since:
        raise ConfigurationError(
            f"device.attention is {setting}, and the package {wanted} is not installed. Install it or set it to auto."
        )
    return setting


def _lacks_gpu(machine: Machine, device: str, kernel: Kernel) -> str | None:
    gpu = gpu_of(machine, device)
    if gpu is None:
        return f"is for NVIDIA's GPUs, and tasks run on {device}"
    if gpu.compute_capability is None or gpu.compute_capability >= kernel.capability:
        return None
    needed, there = (".".join(map(str, one)) for one in (kernel.capability, gpu.compute_capability))
    return f"needs compute capability {needed}, and {gpu.name} has {there}"


def _numbers(version: str | None) -> tuple[int, ...]:
    """Of a release: (2, 8, 0) of 2.8.0.post2; none where nothing is installed."""
    found = re.match(r"\d+(\.\d+)*", version or "")
    return tuple(map(int, found.group().split("."))) if found else ()

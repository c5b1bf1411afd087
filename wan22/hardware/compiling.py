"""Whether a machine has what torch's compiler needs. Pure."""

from __future__ import annotations

from wan22.hardware.choose import gpu_of
from wan22.hardware.machine import Machine

_CAPABILITY = (7, 0)  # the least that triton makes kernels for


def compile_obstacle(machine: Machine, device: str) -> str | None:
    """Why nothing can be compiled for `device`, with the cure; None where it can be."""
    if device == "cpu":
        cure = "install one (g++, Apple's clang or Visual Studio's cl; on Linux Python's headers, too)"
        return None if machine.has_cpp_compiler else f"there is no C++ compiler: {cure}"
    gpu = gpu_of(machine, device)
    if gpu is None:
        return "torch compiles for NVIDIA's GPUs and for CPUs: nothing is lost without"
    if gpu.compute_capability and gpu.compute_capability < _CAPABILITY:
        return f"{gpu.name} is older than compute capability 7.0, which triton needs: nothing mends that"
    if not machine.has_triton:
        name = "triton-windows" if machine.os.startswith("Windows") else "triton"
        return f"the package triton is not installed: install {name}"
    return None

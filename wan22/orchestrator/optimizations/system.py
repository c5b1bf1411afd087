"""Verdicts on the report's six optimizations of the system: what was found, checked and started."""

from __future__ import annotations

from wan22.hardware.choose import GIB
from wan22.hardware.machine import Gpu
from wan22.orchestrator.optimizations.standing import Facts, Standing, active, gib, not_here, on_gpu

HIGH_VRAM_BYTES = 15 * GIB  # a card of 16 GB tells of a little less
HIGH_RAM_BYTES = 60 * GIB  # as a machine of 64 GB does
MANY_CORES = 16


def profile(facts: Facts) -> Standing:
    """What there is."""
    machine = facts.machine
    gpu = facts.gpu.name if facts.gpu else "no GPU that torch can use"
    return active(
        f"{machine.cpu}, {machine.cores} threads, {gib(machine.ram_total_bytes)} of RAM, {gpu}, {machine.os}."
    )


def validation(facts: Facts) -> Standing:
    """What the settings ask of the machine."""
    return active(
        "Settings were checked against this machine when the server started; what is wrong ends it with a cure."
    )


@on_gpu
def high_vram(facts: Facts, gpu: Gpu) -> Standing:
    """Of the GPU."""
    verdict = active if gpu.vram_total_bytes >= HIGH_VRAM_BYTES else not_here
    return verdict(f"{gpu.name} has {gib(gpu.vram_total_bytes)} of VRAM; 16 and more count as high.")


def many_cores(facts: Facts) -> Standing:
    """Of the CPU."""
    verdict = active if facts.machine.cores >= MANY_CORES else not_here
    return verdict(f"{facts.machine.cpu} runs {facts.machine.cores} threads; {MANY_CORES} and more count as many.")


def high_memory(facts: Facts) -> Standing:
    """Of the machine."""
    ram = facts.machine.ram_total_bytes
    return (active if ram >= HIGH_RAM_BYTES else not_here)(f"There are {gib(ram)} of RAM; 64 and more count as high.")


def monitoring(facts: Facts) -> Standing:
    """What is measured while tasks run."""
    return active("Every task's phases, steps and peak of VRAM are kept, and told by /api/v1/wan-models/performance.")

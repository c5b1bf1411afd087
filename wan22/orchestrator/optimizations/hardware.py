"""Verdicts on the report's fourteen optimizations of hardware."""

from __future__ import annotations

from collections.abc import Mapping

from wan22.hardware.machine import Gpu
from wan22.hardware.process import can_move, defaults, has_segments
from wan22.models.catalogue import SPECS
from wan22.models.needs import ram_for
from wan22.orchestrator.optimizations.standing import Facts, Standing, active, gib, not_here, on_gpu
from wan22.tasks import ModelType, Plan
from wan22.tasks.request import EIGHT_BITS

_TENSOR_CORES = (7, 0)


@on_gpu
def tensor_cores(facts: Facts, gpu: Gpu) -> Standing:
    """16 bits have units of their own."""
    if gpu.compute_capability and gpu.compute_capability < _TENSOR_CORES:
        return not_here(f"{gpu.name} has no tensor cores.")
    if facts.precision.compute == "fp32":
        return not_here("Tasks are calculated in fp32: set device.precision to auto, and they use tensor cores.")
    return active(f"Matrices are multiplied in {facts.precision.compute}, which {gpu.name} has tensor cores for.")


@on_gpu
def memory_strategy(facts: Facts, gpu: Gpu) -> Standing:
    """Where each model's weights lie."""
    if not facts.plans:
        return not_here("No model's weights can be used now: `wan22 doctor` tells why.")
    told = (f"{model.value}: {_choice(plan, 'offload')}" for model, plan in facts.plans.items())
    return active(f"Where weights lie is planned for {gpu.name}. {'; '.join(told)}.")


def _choice(plan: Plan, what: str) -> str:
    choice = next((choice for choice in plan.choices if choice.what == what), None)
    return f"{choice.choice} ({choice.why})" if choice else "no choice"


@on_gpu
def vram_budget(facts: Facts, gpu: Gpu) -> Standing:
    """How much of the VRAM is ours."""
    reserve = facts.settings.device.vram_reserve_bytes
    return active(
        f"torch may take {gib(gpu.vram_total_bytes - reserve)} of {gib(gpu.vram_total_bytes)}; the rest is left."
        " More is an error, after which a smaller way is tried, and no slow spill into RAM."
    )


def mixed_precision(facts: Facts) -> Standing:
    """Which part has which dtype."""
    precision = facts.precision
    if set(precision.dtypes.values()) == {"fp32"}:
        return not_here(f"All is calculated in fp32: {precision.why}.")
    told = ", ".join(f"{part} {dtype}" for part, dtype in precision.dtypes.items())
    return active(f"{told}, calculated in {precision.compute}; norms and noise levels stay in fp32. {precision.why}.")


@on_gpu
def cuda_environment(facts: Facts, gpu: Gpu) -> Standing:
    """What CUDA reads once."""
    wanted = defaults(facts.machine.os)
    others = [
        f"{name} is {facts.environment[name]}"
        for name in wanted
        if facts.environment.get(name, "") != wanted[name] and name in facts.environment
    ]
    segments = (
        "" if has_segments(facts.machine.os) else f" Expandable segments are not to be had on {facts.machine.os}."
    )
    chosen = f" By your own choice {', '.join(others)}." if others else ""
    return active(f"Kernels are loaded lazily, and GPUs counted as {gpu.name}'s driver does.{segments}{chosen}")


def preprocessing(facts: Facts) -> Standing:
    """Reading and writing beside the model."""
    if facts.machine.cores < 2:
        return not_here("There is one core.")
    asked = facts.settings.media.encoder_threads
    threads = f"{asked} threads" if asked else "as many threads as it finds useful"
    return active(f"Frames are encoded in a process of its own, with {threads}, while the next ones are decoded.")


@on_gpu
def numa(facts: Facts, gpu: Gpu) -> Standing:
    """Weights near the GPU."""
    if facts.machine.numa_nodes < 2:
        return not_here("All RAM is equally near to all cores: there is one NUMA node.")
    if not can_move():
        return not_here("Windows places memory itself; `start /node N wan22 serve` starts the server near a GPU.")
    if not gpu.near_cores:
        return not_here(f"The driver does not tell which cores are near {gpu.name}.")
    return active(f"Weights are read by {len(gpu.near_cores)} cores near {gpu.name}, so that they lie near it.")


@on_gpu
def offload(facts: Facts, gpu: Gpu) -> Standing:
    """Weights that wait in RAM."""
    streamed = [model.value for model, plan in facts.plans.items() if plan.offload != "none"]
    if not streamed:
        return not_here(f"All weights in use fit {gpu.name}.")
    return active(f"Weights of {', '.join(streamed)} wait in RAM and come to {gpu.name} when they are needed.")


def threads(facts: Facts) -> Standing:
    """How many threads torch has."""
    if facts.machine.cores < 2:
        return not_here("There is one core.")
    asked = facts.settings.device.threads
    if asked:
        return active(f"torch works with {asked} threads, as device.threads says, and threads that wait sleep.")
    return active("torch works with a thread for each physical core, and threads that wait sleep.")


def weight_cache(facts: Facts) -> Standing:
    """Which models stay loaded together."""
    budget = int(facts.machine.ram_total_bytes * facts.settings.models.ram_fraction)
    sizes = {spec.model_type.value: ram_for(spec) for spec in SPECS.values()}
    fitting = _together(sizes, budget)
    those = " and ".join(fitting) if fitting else "none of the real models"
    return active(
        f"Loaded models stay until their room is needed. {gib(budget)} are theirs, in which {those} fit together."
    )


def _together(sizes: Mapping[str, int], budget: int) -> list[str]:
    """As many as fit, the smallest first."""
    kept: list[str] = []
    for name in sorted(sizes, key=sizes.__getitem__):
        if sizes[name] <= budget:
            kept.append(name)
            budget -= sizes[name]
    return kept


def large_models(facts: Facts) -> Standing:
    """Whether the two experts of A14B fit the RAM."""
    spec = SPECS[ModelType.T2V_A14B]
    name, there = spec.model_type.value, facts.machine.ram_total_bytes
    needed, narrow = ram_for(spec), ram_for(spec, in_eight_bits=True)
    if needed <= there:
        return active(
            f"The 28 billion parameters of {name} are {gib(needed)} in bf16, and there are {gib(there)} of RAM."
        )
    if narrow <= there:
        return active(
            f"{name} takes {gib(needed)} in bf16; in int8 or fp8 it takes {gib(narrow)} of {gib(there)} of RAM."
        )
    return not_here(f"{name} takes {gib(narrow)} even in 8 bits, and there are {gib(there)} of RAM: use TI2V-5B.")


def mapped(facts: Facts) -> Standing:
    """Files that are not copied."""
    narrow = [model.value for model, plan in facts.plans.items() if plan.precision["transformer"] in EIGHT_BITS]
    but = f" Those of {', '.join(narrow)} are narrowed while they are read." if narrow else ""
    return active(f"Weight files are mapped, and read once; in their own precision they take no memory twice.{but}")


@on_gpu
def cuda_allocation(facts: Facts, gpu: Gpu) -> Standing:
    """Pinned RAM for what is streamed."""
    if all(plan.offload == "none" for plan in facts.plans.values()):
        return not_here(f"It is for weights that are streamed, and all in use fit {gpu.name}.")
    return active("Streamed weights pass through pinned RAM, from which the GPU fetches them while it computes.")


def batching(facts: Facts) -> Standing:
    """Several videos at once."""
    most = facts.settings.device.max_batch
    if most == 1:
        return not_here("The setting device.max_batch allows one video at a time.")
    return active(f"Up to {most} videos that are alike are denoised together where that is faster; each plan tells.")

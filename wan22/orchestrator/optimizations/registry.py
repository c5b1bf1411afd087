"""All optimizations by their ids, which requests, settings and calls know them by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from wan22.orchestrator.optimizations import hardware, more, system
from wan22.orchestrator.optimizations.standing import Facts, Judge, Standing

Kind = Literal["hardware", "system", "more"]


@dataclass(frozen=True)
class Optimization:
    """One entry; `name` is the report's, where it has one. `can_turn_off`: by setting, or by a call."""

    id: str
    name: str
    about: str
    judge: Judge
    kind: Kind = "hardware"
    can_turn_off: bool = False

    def standing(self, facts: Facts, off: Collection[str] = ()) -> Standing:
        """How it stands, `off` being the ids that are turned off."""
        standing = self.judge(facts)
        if standing.state == "active" and self.id in off:
            return Standing("off", f"It is turned off; on, this is how it would be: {standing.why}")
        return standing


OPTIMIZATIONS = (
    Optimization(
        "tensor-cores",
        "RTX 4080 tensor core optimization for WAN models",
        "Matrices are multiplied in 16 bits, for which GPUs have units of their own.",
        hardware.tensor_cores,
    ),
    Optimization(
        "memory-strategy",
        "RTX 4080 memory allocation strategy for 14B/5B parameters",
        "Weights lie where the fastest plan that fits wants them.",
        hardware.memory_strategy,
    ),
    Optimization(
        "vram-budget",
        "RTX 4080 VRAM management for video generation",
        "torch has a limit, so that the desktop keeps its share and Windows does not spill VRAM into RAM.",
        hardware.vram_budget,
        can_turn_off=True,
    ),
    Optimization(
        "mixed-precision",
        "RTX 4080 mixed precision optimization",
        "16 bits where they are enough, 32 where they are needed.",
        hardware.mixed_precision,
    ),
    Optimization(
        "cuda-environment",
        "RTX 4080 CUDA environment optimization",
        "CUDA and its allocator read their settings from the environment, once.",
        hardware.cuda_environment,
    ),
    Optimization(
        "parallel-preprocessing",
        "Threadripper multi-core utilization for WAN preprocessing",
        "Pictures and videos are read and written on cores that the model does not use.",
        hardware.preprocessing,
    ),
    Optimization(
        "numa-placement",
        "NUMA-aware memory allocation for large model weights",
        "Weights lie in the part of the RAM that is nearest to the GPU.",
        hardware.numa,
        can_turn_off=True,
    ),
    Optimization(
        "cpu-offload",
        "Threadripper CPU offloading strategies for WAN models",
        "Weights that do not fit the GPU wait in RAM.",
        hardware.offload,
    ),
    Optimization(
        "thread-allocation",
        "Threadripper thread allocation optimization",
        "As many hardware.threads as help, and none that spins while it waits.",
        hardware.threads,
    ),
    Optimization(
        "weight-cache",
        "High memory caching strategy for WAN model weights",
        "Models stay in RAM between tasks; which fit together is counted.",
        hardware.weight_cache,
    ),
    Optimization(
        "large-models",
        "Memory-intensive WAN model support (14B parameters)",
        "Models of two experts are run a part at a time, and in 8 bits where they would not fit.",
        hardware.large_models,
    ),
    Optimization(
        "batching",
        "Large batch processing for WAN video generation",
        "Several videos in one pass through the weights.",
        hardware.batching,
    ),
    Optimization(
        "mmap-loading",
        "Memory-mapped model loading for WAN checkpoints",
        "Weight files are used where the system has them in memory.",
        hardware.mapped,
    ),
    Optimization(
        "cuda-allocation",
        "High memory CUDA allocation optimization",
        "RAM that the GPU may fetch from by itself, while it computes.",
        hardware.cuda_allocation,
    ),
    Optimization("hardware-profile", "Hardware profile detection", "What there is.", system.profile, "system"),
    Optimization(
        "settings-validation",
        "Configuration file validation",
        "Settings suit the machine.",
        system.validation,
        "system",
    ),
    Optimization(
        "high-vram", "High VRAM configuration detected", "The GPU has much memory.", system.high_vram, "system"
    ),
    Optimization(
        "many-cores", "High core count CPU detected", "The CPU runs many threads.", system.many_cores, "system"
    ),
    Optimization(
        "high-memory", "High memory configuration detected", "There is much RAM.", system.high_memory, "system"
    ),
    Optimization("monitoring", "System monitoring initialized", "What runs is measured.", system.monitoring, "system"),
    Optimization("prompt-cache", "Prompt embedding cache", "A sentence is read once.", more.prompts, "more"),
    Optimization("guidance-skip", "Skipped guidance", "No pass whose result counts nothing.", more.guidance, "more"),
    Optimization(
        "attention-slicing",
        "Slices of the sequence",
        "Blocks work on a slice of the sequence after the other: less memory with the same numbers.",
        more.slices,
        "more",
    ),
    Optimization(
        "step-cache", "Step cache", "No blocks for a step that only repeats the last.", more.step_cache, "more"
    ),
    Optimization("picture-cache", "Encoded picture cache", "A picture is encoded once.", more.pictures, "more"),
    Optimization("attention", "Attention kernels", "Faster ones, where they are installed.", more.attention, "more"),
    Optimization("compile", "Compiled blocks", "One kernel does the work of many.", more.compiling, "more"),
)
"""All of them, the report's twenty first and in its order."""

BY_ID: Mapping[str, Optimization] = {optimization.id: optimization for optimization in OPTIMIZATIONS}

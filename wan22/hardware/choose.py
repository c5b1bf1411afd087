"""Which device and precision suit a machine, and how much of its memory is there to plan with. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wan22.errors import ConfigurationError
from wan22.hardware.machine import Gpu, Machine
from wan22.tasks.request import EIGHT_BITS

GIB = 2**30

VAE_FP32_VRAM_BYTES = 24_000_000_000  # not GiB: an RTX 4090 tells of 23.99
"""A 720p decode of the Wan VAE takes 17 GiB in fp32 and 9 GiB in bf16 (measured by counting its tensors)."""


@dataclass(frozen=True)
class Precision:
    """The dtype of each component, fp32, bf16 or fp16, and why. The transformers' weights may be int8 or fp8 too."""

    transformer: str
    text_encoder: str
    vae: str
    why: str
    compute: str  # what the transformers calculate in: their own dtype, unless that is of 8 bits

    @property
    def dtypes(self) -> dict[str, str]:
        """The dtype by component, as a plan has it."""
        return {"transformer": self.transformer, "text_encoder": self.text_encoder, "vae": self.vae}


def choose_device(machine: Machine, setting: str) -> str:
    """The device for `setting` (auto, cpu, cuda, cuda:N, mps), as torch names it.

    Raises ConfigurationError where a device is asked for by name and is not there.
    """
    wanted = setting.strip().lower()
    if wanted == "auto":
        return _best(machine)
    if wanted == "mps" and not machine.has_mps:
        raise ConfigurationError("device.device is mps, and this machine has no Apple GPU. Set it to auto.")
    if wanted in ("cpu", "mps"):
        return wanted
    if not re.fullmatch(r"cuda(:\d+)?", wanted):
        raise ConfigurationError(f"device.device is {setting!r}. Set it to auto, cpu, cuda, cuda:N or mps.")
    return _cuda(machine, int(wanted.partition(":")[2] or 0))


def _best(machine: Machine) -> str:
    if machine.gpus and machine.torch_cuda:
        return f"cuda:{machine.gpus[0].index}"
    return "mps" if machine.has_mps else "cpu"


def _cuda(machine: Machine, index: int) -> str:
    if not machine.gpus:
        raise ConfigurationError(f"device.device asks for cuda:{index}, and no NVIDIA GPU was found. Set it to auto.")
    if index not in [gpu.index for gpu in machine.gpus]:
        there = ", ".join(f"cuda:{gpu.index}" for gpu in machine.gpus)
        raise ConfigurationError(f"device.device asks for cuda:{index}, and there is {there}. Set it to one of these.")
    if not machine.torch_cuda:
        raise ConfigurationError(
            f"{machine.gpus[0].name} is there, but torch {machine.torch_version} can't use it: it is a CPU build. "
            "Install a CUDA build of torch: delete .venv and run the quickstart again."
        )
    return f"cuda:{index}"


def choose_precision(machine: Machine, device: str, asked: str | None) -> Precision:
    """The dtypes on `device`; `asked` is what a request, a setting or the files want for the transformers.

    Weights of 8 bits are calculated with in what the device would have chosen itself. The text encoder is never fp16,
    in which T5 overflows. The VAE is fp32 on a GPU with the memory for it; elsewhere it is bf16 where that is fast
    (50 dB from fp32), for its convolutions are most of a short clip's time.
    """
    gpu = gpu_of(machine, device)
    own, why = _own_precision(machine, device, gpu)
    transformer, compute = asked or own, asked or own
    if asked:
        compute = own if asked in EIGHT_BITS else asked
        why = f"as asked; calculated in {own}: {why}" if asked in EIGHT_BITS else "as asked"
    if gpu is None:
        others = "bf16" if compute == "bf16" else "fp32"
        return Precision(transformer, others, others, why, compute)
    text_encoder = "bf16" if _has_bf16(gpu) and compute != "fp32" else "fp32"
    if gpu.vram_total_bytes >= VAE_FP32_VRAM_BYTES or compute == "fp32":
        return Precision(transformer, text_encoder, "fp32", why, compute)
    vae = "bf16" if _has_bf16(gpu) else "fp16"
    return Precision(transformer, text_encoder, vae, f"{why}; the VAE in {vae}, as fp32 needs 24 GB at 720p", compute)


def eight_bit_obstacle(precision: Precision, device: str) -> str | None:
    """Why the transformers' weights can't be of these 8 bits on `device`, with the cure; None where they can.

    torch has no 8-bit floats on Apple's GPUs. torchao multiplies with int8's whole numbers before it scales, and their
    sums leave the range of fp16 (more than 65,504) where the true result is under a hundred.
    """
    if precision.transformer == "fp8" and device == "mps":
        return "fp8 is not there on Apple's GPUs: use int8 or bf16."
    if precision.transformer == "int8" and precision.compute == "fp16":
        return "int8 overflows in fp16, in which a GPU without bf16 calculates: use fp8 or fp16."
    return None


def _own_precision(machine: Machine, device: str, gpu: Gpu | None) -> tuple[str, str]:
    if device == "cpu":
        if machine.cpu_bf16_fast:
            return "bf16", "this CPU multiplies in bf16 in hardware (AMX), several times faster than in fp32"
        return "fp32", "this CPU is faster in fp32 than in bf16 or fp16"
    if gpu is None or _has_bf16(gpu):
        return "bf16", "what the weights were trained in"
    return "fp16", f"{gpu.name} has no bf16 tensor cores (compute capability under 8.0)"


def vram_room(gpu: Gpu, *, reserve_bytes: int, ours_bytes: int = 0) -> int:
    """Bytes of its memory that a run may take: what is free, with what we hold ourselves and can give back.

    The reserve is the share of the desktop and of other programs. What they hold already counts as part of it.
    """
    return max(0, min(gpu.vram_total_bytes - reserve_bytes, gpu.vram_free_bytes + ours_bytes))


def gpu_of(machine: Machine, device: str) -> Gpu | None:
    """The GPU that torch calls `device`; None for cpu and mps."""
    index = int(device.partition(":")[2] or 0) if device.startswith("cuda") else None
    return next((gpu for gpu in machine.gpus if gpu.index == index), None)


def _has_bf16(gpu: Gpu) -> bool:
    return gpu.compute_capability is None or gpu.compute_capability >= (8, 0)

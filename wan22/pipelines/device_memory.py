"""How much of a GPU's memory this process holds, and could take. Frees nothing."""

from __future__ import annotations

import sys

from wan22.models.needs import CONTEXT_BYTES


def held_bytes(device: str) -> int:
    """Of a GPU's memory what this process holds, its context included, and could give back; 0 before it is used.

    torch is asked only where something has imported it.
    """
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda") or not torch.cuda.is_initialized():
        return 0
    return int(torch.cuda.memory_reserved(device)) + CONTEXT_BYTES


def free_bytes(device: str) -> int:
    """Of a GPU's memory what this process can take: what nobody has, and what torch keeps for reuse."""
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))

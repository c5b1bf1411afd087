"""Where the training computes: torch's default device, which the command line sets once. A GPU's, if there is one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch


def use(name: str | None = None) -> None:
    """Compute there from now on: cpu, cuda or cuda:N; without a name on a GPU, if torch has one."""
    import torch

    chosen = name or ("cuda" if torch.cuda.is_available() else "cpu")
    if chosen != "cpu":  # which it is already, and saying so would slow every call down
        torch.set_default_device(chosen)


def current() -> torch.device:
    """The device."""
    import torch

    return torch.get_default_device()


def in_bfloat16(*, enabled: bool = True) -> Any:
    """A block in which what multiplies does so in bfloat16, or for once does not."""
    import torch

    return torch.autocast(current().type, torch.bfloat16, enabled=enabled)


def load(path: Path) -> Any:
    """What `run.save` wrote, on whatever device that was."""
    import torch

    return torch.load(path, map_location=current(), weights_only=False)


def tensor_of(array: np.ndarray) -> torch.Tensor:
    """The same numbers there."""
    import torch

    return torch.as_tensor(array, device=current())

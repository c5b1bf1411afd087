"""Has a model's transformers attend with the kernels of a plan. Which can be had is not decided here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from wan22.errors import GenerationFailed
from wan22.hardware.attention import NATIVE


@contextmanager
def attending(experts: Sequence[Any], backend: str) -> Iterator[None]:
    """Inside, every block of these transformers attends by `backend`, as diffusers names it; afterwards by torch's own.

    It is said for torch's own, too: diffusers otherwise takes what was last set in this process, or its environment's
    variable, and what was set by it stays so. Slices inside attend in the same way.
    Raises GenerationFailed where the kernels are installed and can't be loaded.
    """
    try:
        _set(experts, backend)
        yield
    finally:
        _set(experts, NATIVE)


def _set(experts: Sequence[Any], backend: str) -> None:
    try:
        for expert in experts:
            expert.set_attention_backend(backend)
    except RuntimeError as error:
        cure = "Set device.attention to auto, or install the package for the torch that is installed."
        raise GenerationFailed(f"Attention by {backend} can't be had ({error}). {cure}", hint=cure) from error

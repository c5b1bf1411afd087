"""Tells running out of memory from all other failures, and gives it its name. Frees and retries nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from wan22.errors import OutOfMemory

P = ParamSpec("P")
T = TypeVar("T")

SMALLER = "Ask for a smaller size or fewer frames."

_CUDA_OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation, as torch.AcceleratorError carries it
_PHRASES = (
    "out of memory",  # CUDA driver, MPS and expandable segments say so in a plain RuntimeError
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "DefaultCPUAllocator",  # the host's, in any of its wordings
)


def is_oom(error: BaseException | None) -> bool:
    """Whether the error, or one that it was raised from or in the handling of, says that memory ran out."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if _says_so(error):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _says_so(error: BaseException) -> bool:
    # by name, because torch must not be imported to look at an error
    if isinstance(error, MemoryError) or type(error).__name__ in ("OutOfMemoryError", "OutOfMemory"):
        return True
    if getattr(error, "error_code", None) == _CUDA_OUT_OF_MEMORY and type(error).__name__ == "AcceleratorError":
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in _PHRASES)


def names_oom(doing: str, *, cure: str = SMALLER) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorator: a function that runs out of memory raises OutOfMemory, which says while `doing` what, and a cure.

    The new error is raised outside the handler and without a cause: a kept exception keeps its frames, and with them
    the very tensors that did not fit.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(*args, **kwargs)
            except (RuntimeError, MemoryError) as error:
                if not is_oom(error):
                    raise
                said = str(error).partition("\n")[0]
            raise OutOfMemory(f"Memory ran out while {doing} ({said}). {cure}", hint=cure)

        return wrapper

    return decorate

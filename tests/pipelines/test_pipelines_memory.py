"""Running out of memory is told from all other failures, in each of the forms in which it comes."""

from __future__ import annotations

import pytest

from wan22.errors import OutOfMemory
from wan22.pipelines.memory import is_oom, names_oom


def accelerator_error(code: int) -> RuntimeError:
    """As torch raises it: only its class's name and its code tell what it is."""
    error = type("AcceleratorError", (RuntimeError,), {})("CUDA error: something")
    error.error_code = code
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        accelerator_error(2),
        RuntimeError("CUDA driver error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        RuntimeError("MPS backend out of memory (MPS allocated: 18 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:125] . DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_all_forms_are_known(error) -> None:
    assert is_oom(error)


def test_torch_s_own_class_is_known() -> None:
    import torch

    assert is_oom(torch.OutOfMemoryError())


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), accelerator_error(719), ValueError("out of memory"), None]
)
def test_nothing_else_is_taken_for_it(error) -> None:
    assert not is_oom(error)


def test_the_cause_counts() -> None:
    error = ValueError("The pipeline failed.")
    error.__cause__ = KeyError("inner")
    error.__cause__.__context__ = MemoryError()
    assert is_oom(error)


def test_a_ring_of_causes_ends() -> None:
    error = ValueError("a")
    error.__context__ = KeyError("b")
    error.__context__.__context__ = error
    assert not is_oom(error)


def test_the_name_given_keeps_nothing_of_the_frames_that_failed() -> None:
    @names_oom("painting")
    def paint() -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nlong story")

    with pytest.raises(OutOfMemory, match=r"while painting \(CUDA out of memory. Tried to allocate 2 GiB\)") as caught:
        paint()
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_the_cure_is_that_of_what_was_being_done() -> None:
    @names_oom("painting", cure="Buy a larger canvas.")
    def paint() -> None:
        raise MemoryError

    with pytest.raises(OutOfMemory, match=r"Buy a larger canvas\.$") as caught:
        paint()
    assert caught.value.hint == "Buy a larger canvas."


def test_other_errors_pass_as_they_are() -> None:
    @names_oom("painting")
    def paint() -> None:
        raise RuntimeError("no such brush")

    with pytest.raises(RuntimeError, match="no such brush"):
        paint()

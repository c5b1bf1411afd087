"""A GPU is found by what its driver says, and only if the driver answers."""

from __future__ import annotations

import pytest
from commands import Answer
from fake_commands import FakeCommands
from gpu import Gpu, find_gpu

TABLE = "| NVIDIA-SMI 551.86    Driver Version: 551.86    {words}: {cuda}     |"


def smi(cuda: str, capability: str = "8.9\n", words: str = "CUDA Version") -> FakeCommands:
    table = Answer(0, TABLE.format(words=words, cuda=cuda))
    return FakeCommands({"compute_cap": Answer(0, capability), "nvidia-smi": table})


def test_the_driver_and_the_card_are_read() -> None:
    assert find_gpu(smi("12.4"), library=lambda: None) == Gpu((12, 4), (8, 9))


def test_the_wording_of_newer_drivers_is_read() -> None:
    assert find_gpu(smi("13.1", words="CUDA UMD Version"), library=lambda: None) == Gpu((13, 1), (8, 9))


def test_an_old_driver_that_does_not_tell_the_capability_is_still_a_gpu() -> None:
    commands = smi("11.4")
    commands.replies["compute_cap"] = Answer(2, 'Field "compute_cap" is not a valid field to query.')
    assert find_gpu(commands, library=lambda: None) == Gpu((11, 4), None)


@pytest.mark.parametrize("answer", [Answer(9, "couldn't communicate with the NVIDIA driver"), Answer(6, "No devices")])
def test_a_tool_that_fails_is_no_gpu(answer: Answer) -> None:
    assert find_gpu(FakeCommands({"nvidia-smi": answer}), library=lambda: None) is None


def test_the_library_is_asked_where_the_tool_is_missing() -> None:
    assert find_gpu(FakeCommands(), library=lambda: Gpu((12, 8))) == Gpu((12, 8))


def test_asking_the_real_library_never_fails() -> None:
    found = find_gpu(FakeCommands())
    assert found is None or isinstance(found, Gpu)


def test_wsl_keeps_the_tool_off_the_path() -> None:
    table = Answer(0, TABLE.format(words="CUDA Version", cuda="12.8"))
    assert find_gpu(FakeCommands({"/usr/lib/wsl/lib/nvidia-smi": table}), library=lambda: None) == Gpu((12, 8))

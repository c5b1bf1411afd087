"""The thread that computes is set as the settings and the machine want it, and set back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from test_orchestrator_optimizations import LAPTOP, REPORTED, RTX_4080

from wan22.hardware.machine import Machine
from wan22.hardware.process import can_move
from wan22.orchestrator import tuning as under_test
from wan22.orchestrator.tuning import Tuning
from wan22.settings import DeviceSettings


@pytest.fixture
def in_thread() -> Iterator[Callable[[Callable[[], object]], object]]:
    """Runs what it is given in a thread of its own, whose cores end with it."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield lambda work: pool.submit(work).result()


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """What CUDA would have been told."""
    told: list[tuple[str, float]] = []
    monkeypatch.setattr(under_test, "limit_vram", lambda device, share: told.append((device, share)))
    return told


def tuning_of(machine: Machine, **settings: object) -> Tuning:
    return Tuning(DeviceSettings.model_validate(settings), lambda: machine)


def test_threads_are_those_of_the_settings(in_thread: Callable[[Callable[[], object]], object]) -> None:
    tuning = tuning_of(LAPTOP, threads=1)

    def threads() -> int:
        tuning.prepare()
        return torch.get_num_threads()

    assert in_thread(threads) == 1


def test_torch_leaves_the_desktop_its_share_of_the_vram(limits: list[tuple[str, float]]) -> None:
    tuning = tuning_of(REPORTED, vram_reserve_bytes=RTX_4080.vram_total_bytes // 4)
    tuning.prepare()
    tuning.turn("vram-budget", on=False)
    tuning.prepare()
    assert limits == [("cuda:0", 0.75), ("cuda:0", 1.0)]


@pytest.mark.skipif(not can_move() or len(os.sched_getaffinity(0)) < 2, reason="needs two cores and Linux")
@pytest.mark.usefixtures("limits")
def test_the_thread_moves_to_the_cores_near_the_gpu_and_back(
    in_thread: Callable[[Callable[[], object]], object],
) -> None:
    everywhere = os.sched_getaffinity(0)
    near = min(everywhere)
    gpu = replace(RTX_4080, near_cores=frozenset({near, 4_000}))
    tuning = tuning_of(replace(REPORTED, gpus=(gpu,), numa_nodes=2))

    def cores() -> object:
        tuning.prepare()
        return os.sched_getaffinity(0)

    assert in_thread(cores) == {near}
    tuning.turn("numa-placement", on=False)
    assert in_thread(cores) == everywhere


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize(
    ("near", "nodes"), [(frozenset({0}), 1), (None, 2), (frozenset({4_000}), 2)], ids=["one node", "untold", "not ours"]
)
def test_where_there_is_nothing_near_nothing_moves(
    near: frozenset[int] | None, nodes: int, in_thread: Callable[[Callable[[], object]], object]
) -> None:
    gpu = replace(RTX_4080, near_cores=near)
    before = set(range(os.cpu_count() or 1)) if not can_move() else os.sched_getaffinity(0)
    in_thread(tuning_of(replace(REPORTED, gpus=(gpu,), numa_nodes=nodes)).prepare)
    after = set(range(os.cpu_count() or 1)) if not can_move() else os.sched_getaffinity(0)
    assert before == after

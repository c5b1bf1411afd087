"""The snapshot of a machine: whatever the driver refuses is absent, nothing ever raises, and torch stays unloaded."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from wan22.hardware.disk import free_bytes
from wan22.hardware.machine import Gpu
from wan22.hardware.probe import Nvml, cuda_of, gpus, installed_torch, numa_nodes, probe, visible
from wan22.testing import Card, FakeNvml

WHOLE = Gpu(0, "NVIDIA GeForce RTX 4080", 16_376 * 2**20, 14_912 * 2**20, (8, 9), "552.22", (4, 16), frozenset({0}))
CALLS = [name for name in vars(Nvml) if name.startswith("nvml")]
TELLING = {
    "nvmlDeviceGetName": ("name", "NVIDIA GPU 0"),
    "nvmlDeviceGetCudaComputeCapability": ("compute_capability", None),
    "nvmlSystemGetDriverVersion": ("driver", None),
    "nvmlDeviceGetMaxPcieLinkGeneration": ("pcie", None),
    "nvmlDeviceGetMaxPcieLinkWidth": ("pcie", None),
    "nvmlDeviceGetCpuAffinity": ("near_cores", None),
}


def test_a_card_is_told_as_it_is() -> None:
    assert probe(FakeNvml(Card())).gpus == (WHOLE,)


def test_several_cards_are_numbered() -> None:
    found = gpus(FakeNvml(Card(), Card("Tesla T4", capability=(7, 5))))
    assert [(gpu.index, gpu.name, gpu.compute_capability) for gpu in found] == [
        (0, "NVIDIA GeForce RTX 4080", (8, 9)),
        (1, "Tesla T4", (7, 5)),
    ]


@pytest.mark.parametrize("error", [None, OSError("broken library"), ValueError("no text")], ids=str)
@pytest.mark.parametrize("call", CALLS)
def test_any_call_may_fail(call: str, error: Exception | None) -> None:
    """What can't be planned without (memory) makes the card absent, what can makes its field None."""
    found = gpus(FakeNvml(Card(), fails=call, error=error))
    if call in TELLING:
        field, absent = TELLING[call]
        assert [getattr(gpu, field) for gpu in found] == [absent]
        assert found[0].vram_total_bytes == WHOLE.vram_total_bytes
    else:
        assert found == ()


@pytest.mark.parametrize(("pcie", "gb_s"), [((4, 16), 25.0), ((3, 16), 12.5), ((4, 8), 12.5), ((5, 16), 50.0)])
def test_how_fast_weights_come_over_the_bus(pcie: tuple[int, int], gb_s: float) -> None:
    assert replace(WHOLE, pcie=pcie).bus_bytes_per_s == gb_s * 1e9
    assert replace(WHOLE, pcie=None).bus_bytes_per_s is None


def test_numa_nodes_are_counted_and_there_is_always_one(tmp_path: Path) -> None:
    assert numa_nodes(tmp_path / "gone") == numa_nodes(tmp_path) == 1
    for name in ("node0", "node1", "possible", "nodes"):
        (tmp_path / name).mkdir()
    assert numa_nodes(tmp_path) == 2


def test_no_card_and_no_driver_are_an_empty_tuple() -> None:
    assert gpus(FakeNvml()) == ()
    assert gpus(FakeNvml(fails="nvmlInit")) == ()


def test_the_driver_is_opened_once() -> None:
    nvml = FakeNvml(Card())
    assert gpus(nvml) == gpus(nvml) == (WHOLE,)
    assert nvml.opened == 1


def test_a_driver_that_comes_later_is_found() -> None:
    nvml = FakeNvml(Card(), fails="nvmlInit")
    assert gpus(nvml) == ()
    nvml._fails = ""
    assert gpus(nvml) == (WHOLE,)


def test_this_machine_is_told() -> None:
    machine = probe()
    assert machine.cores >= 1
    assert 0 < machine.ram_available_bytes <= machine.ram_total_bytes == psutil.virtual_memory().total
    assert machine.os.split()[0] in ("Linux", "Windows", "Darwin")
    assert machine.cpu
    assert machine.torch_version == importlib.metadata.version("torch")


def test_a_cpu_build_of_torch_has_no_cuda() -> None:
    version, cuda = installed_torch()
    assert version
    assert cuda is None or "+cpu" not in version


@pytest.mark.parametrize(
    ("text", "cuda"),
    [
        ("cuda: Optional[str] = None\nhip: Optional[str] = None\n", None),
        ("__version__ = '2.13.0'\ndebug = False\ncuda: Optional[str] = '13.0'\n", "13.0"),
        ("cuda = '12.8'\n", "12.8"),
        ('cuda: str | None = "13.2"\n', "13.2"),
        ("not_cuda = '12.8'\nhip = '6.4'\n", None),
        ("", None),
    ],
)
def test_torch_states_its_cuda_in_its_files(text: str, cuda: str | None) -> None:
    assert cuda_of(text) == cuda


def test_amx_is_what_makes_bf16_fast() -> None:
    info = Path("/proc/cpuinfo")
    flags = info.read_text().split() if info.exists() else []
    assert probe().cpu_bf16_fast == ("amx_bf16" in flags)


def test_a_probe_loads_no_torch() -> None:
    code = "import sys; from wan22.hardware.probe import probe; probe(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_space_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "a" / "b") > 0
    assert psutil.disk_usage(str(tmp_path)).total > free_bytes(tmp_path)


@pytest.mark.parametrize(
    ("only", "names"),
    [(None, "ab"), ("", ""), ("1", "b"), ("1,0", "ba"), ("0,7,1", "a"), ("-1", ""), ("GPU-8932f937", "ab")],
)
def test_only_the_gpus_that_cuda_may_see_are_counted(only: str | None, names: str) -> None:
    """As CUDA does: in the variable's order, numbered from 0, up to the first that is not there."""
    found = visible((Gpu(0, "a", 1, 1), Gpu(1, "b", 1, 1)), only)
    assert "".join(gpu.name for gpu in found) == names
    assert [gpu.index for gpu in found] == list(range(len(names)))

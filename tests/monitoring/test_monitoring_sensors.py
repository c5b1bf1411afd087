"""A reading says what the system says, and None where it says nothing."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from wan22.monitoring.reading import GpuReading, Reading, series_of
from wan22.monitoring.sensors import Sensors
from wan22.testing import Card, FakeNvml

CARD = Card()
CALLS = {
    "nvmlDeviceGetUtilizationRates": ("utilization", "memory_utilization"),
    "nvmlDeviceGetMemoryInfo": ("vram_total_bytes", "vram_used_bytes"),
    "nvmlDeviceGetTemperature": ("temperature_c",),
    "nvmlDeviceGetPowerUsage": ("power_w",),
    "nvmlDeviceGetEnforcedPowerLimit": ("power_limit_w",),
    "nvmlDeviceGetClockInfo": ("clock_hz",),
    "nvmlDeviceGetMaxClockInfo": ("max_clock_hz",),
    "nvmlDeviceGetCurrentClocksEventReasons": ("throttled_by",),
    "nvmlDeviceGetPcieThroughput": ("pcie_tx_bytes_per_s", "pcie_rx_bytes_per_s"),
}


def read(nvml: FakeNvml, folder: Path) -> Reading:
    return Sensors(folder, nvml=nvml).read(queued=3, running=1)


def test_a_card_is_read_in_base_units(tmp_path: Path) -> None:
    assert read(FakeNvml(CARD), tmp_path).gpus == (
        GpuReading(
            index=0,
            name="NVIDIA GeForce RTX 4080",
            utilization=0.99,
            memory_utilization=0.61,
            vram_total_bytes=CARD.total,
            vram_used_bytes=CARD.total - CARD.free,
            vram_ours_bytes=None,  # no torch has CUDA here
            temperature_c=71,
            power_w=312_400 * 1e-3,
            power_limit_w=320_000 * 1e-3,
            clock_hz=2.73e9,
            max_clock_hz=3.105e9,
            throttled_by=("power",),
            pcie_tx_bytes_per_s=41_000 * 1024,
            pcie_rx_bytes_per_s=11_536_000 * 1024,
        ),
    )


@pytest.mark.parametrize("error", [None, OSError("broken library"), ValueError("odd")], ids=str)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_leaves_its_figures_absent(call: str, error: Exception | None, tmp_path: Path) -> None:
    whole = read(FakeNvml(CARD), tmp_path).gpus[0]
    lacking = read(FakeNvml(CARD, fails=call, error=error), tmp_path).gpus[0]
    assert lacking == whole.model_copy(update=dict.fromkeys(CALLS[call]))


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"])
def test_without_a_driver_there_is_no_card(call: str, tmp_path: Path) -> None:
    assert read(FakeNvml(CARD, fails=call), tmp_path).gpus == ()


@pytest.mark.parametrize(
    ("bits", "said"), [(0, ()), (0x1, ()), (0x20, ("heat",)), (0x4 | 0x40, ("power", "heat")), (0x8, ("hardware",))]
)
def test_what_holds_the_clock_down(bits: int, said: tuple[str, ...], tmp_path: Path) -> None:
    assert read(FakeNvml(replace(CARD, reasons=bits)), tmp_path).gpus[0].throttled_by == said


def test_the_machine_is_as_the_system_tells_it(tmp_path: Path) -> None:
    """Within 2 % of /proc, which psutil reads, too, but which this looks at by itself."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        pytest.skip("there is no /proc here")
    reading = read(FakeNvml(), tmp_path)
    kib = {line.split(":")[0]: int(line.split()[1]) for line in meminfo.read_text().splitlines()}
    assert reading.ram_total_bytes == kib["MemTotal"] * 1024
    assert reading.ram_used_bytes == pytest.approx((kib["MemTotal"] - kib["MemAvailable"]) * 1024, rel=0.02)
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    assert reading.ram_ours_bytes == pytest.approx(resident, rel=0.02)
    assert (reading.queued, reading.running) == (3, 1)


def test_rates_are_since_the_last_reading(tmp_path: Path) -> None:
    sensors = Sensors(tmp_path, nvml=FakeNvml())
    assert sensors.read().cpu_ours is None
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    reading = sensors.read()
    assert reading.cpu_ours is not None
    assert 0 < reading.cpu_ours <= 1
    assert reading.cpu_utilization is not None


def test_a_process_that_is_gone_costs_its_figures_alone(tmp_path: Path) -> None:
    class Gone(psutil.Process):
        def memory_info(self) -> object:
            raise psutil.NoSuchProcess(self.pid)

        def children(self, recursive: bool = False) -> list[psutil.Process]:
            raise psutil.NoSuchProcess(self.pid)

    reading = Sensors(tmp_path, nvml=FakeNvml(), process=Gone()).read()
    assert reading.ram_ours_bytes is None
    assert reading.ram_total_bytes


def test_series_have_names_of_their_own(tmp_path: Path) -> None:
    found = dict(series_of(read(FakeNvml(CARD, CARD), tmp_path)))
    assert found["gpu1.utilization"] == 0.99
    assert found["gpu0.throttled"] == 1.0
    assert found["queued"] == 3.0
    assert found["cpu_utilization"] is None

"""A stand-in for NVIDIA's library: a driver with cards, whose calls may fail one by one, as under Windows they do.

By default it plays an RTX 4080 in the middle of a task.
"""

# ruff: noqa: N802 - the names are those of the library

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from types import SimpleNamespace

MIB = 2**20


@dataclass(frozen=True)
class Card:
    """What a card tells of itself."""

    name: str = "NVIDIA GeForce RTX 4080"
    total: int = 16_376 * MIB
    free: int = 14_912 * MIB
    capability: tuple[int, int] = (8, 9)
    pcie: tuple[int, int] = (4, 16)
    near: frozenset[int] = frozenset({0})
    utilization: tuple[int, int] = (99, 61)  # of the chip and of its memory, in per cent
    temperature: int = 71  # degrees Celsius
    power: tuple[int, int] = (312_400, 320_000)  # now and at most, in mW
    clock: tuple[int, int] = (2_730, 3_105)  # now and at most, in MHz
    reasons: int = 0x4  # bits of what holds its clock down: the power limit
    traffic: tuple[int, int] = (41_000, 11_536_000)  # from the card and to it, in KiB/s


class FakeNvml:
    """Answers as the library does; the call named in `fails` raises `error`, or the library's own error."""

    class NVMLError(Exception):
        """The library's own."""

    def __init__(self, *cards: Card, fails: str = "", error: Exception | None = None) -> None:
        self._cards = cards
        self._fails = fails
        self._error = error or self.NVMLError("Not Supported")
        self.opened = 0

    def _call(self, name: str) -> None:
        if name == self._fails:
            raise self._error

    def nvmlInit(self) -> None:
        self._call("nvmlInit")
        self.opened += 1

    def nvmlDeviceGetCount(self) -> int:
        self._call("nvmlDeviceGetCount")
        return len(self._cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        self._call("nvmlDeviceGetHandleByIndex")
        return self._cards[index]

    def nvmlDeviceGetName(self, card: Card) -> str:
        self._call("nvmlDeviceGetName")
        return card.name

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> SimpleNamespace:
        self._call("nvmlDeviceGetMemoryInfo")
        return SimpleNamespace(total=card.total, free=card.free, used=card.total - card.free)

    def nvmlDeviceGetCudaComputeCapability(self, card: Card) -> tuple[int, int]:
        self._call("nvmlDeviceGetCudaComputeCapability")
        return card.capability

    def nvmlSystemGetDriverVersion(self) -> str:
        self._call("nvmlSystemGetDriverVersion")
        return "552.22"

    def nvmlDeviceGetMaxPcieLinkGeneration(self, card: Card) -> int:
        self._call("nvmlDeviceGetMaxPcieLinkGeneration")
        return card.pcie[0]

    def nvmlDeviceGetMaxPcieLinkWidth(self, card: Card) -> int:
        self._call("nvmlDeviceGetMaxPcieLinkWidth")
        return card.pcie[1]

    def nvmlDeviceGetCpuAffinity(self, card: Card, words: int) -> list[int]:
        self._call("nvmlDeviceGetCpuAffinity")
        bits = sum(1 << core for core in card.near)
        each = 8 * ctypes.sizeof(ctypes.c_ulong)
        return [bits >> each * word & ((1 << each) - 1) for word in range(words)]

    def nvmlDeviceGetUtilizationRates(self, card: Card) -> SimpleNamespace:
        self._call("nvmlDeviceGetUtilizationRates")
        return SimpleNamespace(gpu=card.utilization[0], memory=card.utilization[1])

    def nvmlDeviceGetTemperature(self, card: Card, _: int) -> int:
        self._call("nvmlDeviceGetTemperature")
        return card.temperature

    def nvmlDeviceGetPowerUsage(self, card: Card) -> int:
        self._call("nvmlDeviceGetPowerUsage")
        return card.power[0]

    def nvmlDeviceGetEnforcedPowerLimit(self, card: Card) -> int:
        self._call("nvmlDeviceGetEnforcedPowerLimit")
        return card.power[1]

    def nvmlDeviceGetClockInfo(self, card: Card, _: int) -> int:
        self._call("nvmlDeviceGetClockInfo")
        return card.clock[0]

    def nvmlDeviceGetMaxClockInfo(self, card: Card, _: int) -> int:
        self._call("nvmlDeviceGetMaxClockInfo")
        return card.clock[1]

    def nvmlDeviceGetCurrentClocksEventReasons(self, card: Card) -> int:
        self._call("nvmlDeviceGetCurrentClocksEventReasons")
        return card.reasons

    def nvmlDeviceGetPcieThroughput(self, card: Card, counter: int) -> int:
        self._call("nvmlDeviceGetPcieThroughput")
        return card.traffic[counter]

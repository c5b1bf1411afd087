"""Stand-ins for NVIDIA's library: a driver with cards, one of whose calls may fail, and no driver at all."""

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

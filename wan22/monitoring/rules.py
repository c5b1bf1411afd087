"""The rules as data: what each looks at, from which figure on it is broken, at which it is mended, and for how long.

Thresholds are the settings'. Between the two figures nothing changes, so that one which swings there is told once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wan22.monitoring import findings
from wan22.monitoring.facts import Facts
from wan22.monitoring.findings import Finding
from wan22.settings import AlertsSettings
from wan22.tasks import Severity

NEAR = 0.95  # of a share: mended from there on
COOLER_C = 5.0
SILENT_S = 15.0  # without a reading, which comes each second


@dataclass(frozen=True)
class Rule:
    """Broken once a figure has been at `raise_at` or beyond for `hold_s`, mended once it was at `clear_at` for as long.

    Beyond is away from `clear_at`: above it, or below where that is the higher of the two.
    """

    name: str
    says: str  # what its figure is, with the unit
    find: Callable[[Facts], Iterator[Finding]]
    raise_at: float
    clear_at: float
    hold_s: float = 0.0
    severity: Severity = "warning"

    def is_broken_by(self, figure: float) -> bool:
        """At the threshold, or beyond."""
        return figure >= self.raise_at if self.raise_at > self.clear_at else figure <= self.raise_at

    def is_mended_by(self, figure: float) -> bool:
        """Back at the other one, or better."""
        return figure <= self.clear_at if self.raise_at > self.clear_at else figure >= self.clear_at


def rules_of(at: AlertsSettings) -> tuple[Rule, ...]:
    """All of them, at these thresholds."""
    return (*_of_the_machine(at), *_of_the_tasks(at))


def _of_the_machine(at: AlertsSettings) -> tuple[Rule, ...]:
    heat, share = at.temperature_c, at.throttled_fraction
    free, dead = at.disk_free_bytes, SILENT_S
    return (
        Rule("vram_full", "share of VRAM", findings.vram, at.vram_fraction, NEAR * at.vram_fraction, 30),
        Rule("ram_full", "share of RAM", findings.ram, at.ram_fraction, NEAR * at.ram_fraction, 30),
        Rule("swap_used", "bytes of swap", findings.swap, at.swap_bytes, at.swap_bytes / 2, 30),
        Rule("gpu_hot", "degrees Celsius", findings.temperature, heat, heat - COOLER_C, 10),
        Rule("gpu_throttled", "share of a minute", findings.throttled, share, share / 4),
        Rule("disk_low", "bytes free", findings.disk, free, 1.2 * free + 1, severity="critical"),
        Rule("sampler_dead", "seconds without a reading", findings.sampler, dead, dead / 3, 10, "critical"),
    )


def _of_the_tasks(at: AlertsSettings) -> tuple[Rule, ...]:
    failed, slow = at.failure_fraction, at.step_time_ratio
    wait_s = at.queue_stuck_s
    return (
        Rule("queue_stuck", "tasks that wait while none runs", findings.queue, 1, 0, wait_s, severity="critical"),
        Rule("tasks_fail", "share of the last tasks", findings.failures, failed, failed / 2),
        Rule("steps_slow", "times the usual seconds a step", findings.step_time, slow, (1 + slow) / 2),
        Rule("weights_corrupt", "1: damaged", findings.weights, 1, 0, severity="critical"),
    )

"""What callers are shown of optimizations: how each stands, what it gains, and what a call to apply them did."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wan22.api.views import UtcTime, View
from wan22.orchestrator.optimizations.advisor import Report
from wan22.orchestrator.optimizations.registry import Kind
from wan22.orchestrator.optimizations.standing import State

Outcome = Literal["applied", "already_active", "undone", "already_off", "not_applicable", "always_on"]


class GainView(View):
    """The same work without an optimization and with it, measured on this machine."""

    work: str = Field(description="What was timed.")
    without_s: float = Field(description="Seconds without it.")
    with_s: float = Field(description="Seconds with it.")
    times_faster: float = Field(description="Over 1 where it gains.")
    at: UtcTime = Field(description="When that was.")


class OptimizationView(View):
    """One optimization on this machine."""

    id: str = Field(description="What calls and settings know it by.")
    name: str = Field(description="As the report has it, or the field.")
    kind: Kind = Field(description="hardware and system: of the report's twenty; more: beside them.")
    about: str = Field(description="What it does.")
    state: State = Field(description="active, off (turned off), or not_applicable: of no use here.")
    why: str = Field(description="The reason, in words.")
    can_turn_off: bool = Field(description="Whether a call or device.optimizations_off can turn it off.")
    gain: GainView | None = Field(description="What it was last measured to gain here; null where it never was.")


class Optimizations(View):
    """All of them."""

    optimizations: tuple[OptimizationView, ...] = Field(description="The report's twenty first, in its order.")


class OutcomeView(OptimizationView):
    """One optimization after a call to apply or undo it."""

    outcome: Outcome = Field(description="What the call did; with dry_run, would do.")


class Optimized(View):
    """What a call to apply optimizations did."""

    dry_run: bool = Field(description="As asked: nothing was changed.")
    optimizations: tuple[OutcomeView, ...] = Field(description="Each that was named, or all.")


def view_report(report: Report) -> OptimizationView:
    """One optimization as it is shown."""
    return OptimizationView.model_validate(report.as_json())

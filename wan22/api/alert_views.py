"""What callers are shown of alerts: each one, and the rules that raise them."""

from __future__ import annotations

from pydantic import Field

from wan22.api.views import UtcTime, View
from wan22.tasks import Alert, Severity


class AlertView(Alert):
    """Something that a person should hear of, or should have."""

    raised_at: UtcTime = Field(description="When.")
    cleared_at: UtcTime | None = Field(description="When it was over; null while it is not.")
    acknowledged_at: UtcTime | None = Field(description="When a person first said to have seen it; null: none has.")


class RuleView(View):
    """When an alert is raised and when it is cleared; figures follow from the settings `[alerts]`."""

    name: str = Field(description="As in an alert's `rule`.")
    figure: str = Field(description="What is looked at, with its unit.")
    severity: Severity = Field(description="Of its alerts.")
    raise_at: float = Field(description="Raised by a figure of this or beyond; below it, where `clear_at` is higher.")
    clear_at: float = Field(description="Cleared by a figure of this or better; between the two nothing changes.")
    hold_s: float = Field(description="Seconds for which the figure must have been such without a break.")


class Alerts(View):
    """What is wrong now, and by which rules."""

    alerts: tuple[AlertView, ...] = Field(description="Newest first; open ones, and cleared ones if asked for.")
    rules: tuple[RuleView, ...] = Field(description="All that are judged.")

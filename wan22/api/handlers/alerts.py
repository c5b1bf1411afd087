"""Alerts for the calls about them. Blocking; the routes call these in a thread."""

from __future__ import annotations

from wan22.api.alert_views import Alerts, AlertView, RuleView
from wan22.api.services import Services
from wan22.monitoring.rules import Rule
from wan22.tasks import Alert


def alerts(services: Services, *, include_cleared: bool) -> Alerts:
    """Those that are open, and the rules."""
    found = services.alerts.list(include_cleared=include_cleared)
    return Alerts(alerts=tuple(map(_view, found)), rules=tuple(map(_rule, services.alerts.rules)))


def acknowledge(services: Services, alert_id: str) -> AlertView:
    """Note that a person has seen it. Raises NotFound."""
    return _view(services.alerts.acknowledge(alert_id))


def _view(alert: Alert) -> AlertView:
    return AlertView.model_validate(alert.model_dump())


def _rule(rule: Rule) -> RuleView:
    return RuleView(
        name=rule.name,
        figure=rule.says,
        severity=rule.severity,
        raise_at=rule.raise_at,
        clear_at=rule.clear_at,
        hold_s=rule.hold_s,
    )

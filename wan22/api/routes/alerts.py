"""Calls about what a person should hear of."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from wan22.api import alert_examples, manual
from wan22.api.alert_views import Alerts, AlertView
from wan22.api.handlers import alerts
from wan22.api.query import only
from wan22.api.services import Deps

router = APIRouter(prefix="/api/v1/dashboard/alerts", tags=["dashboard"])

AlertId = Annotated[str, Path(description="`id` of an alert.", examples=[str(alert_examples.ALERT_ID)])]
Cleared = Annotated[bool, Query(description="With the last 100 that were cleared.", examples=[True])]


@router.get(
    "",
    response_model=Alerts,
    responses=manual.ok(alert_examples.ALERTS) | manual.wrong_parameter(alert_examples.WRONG_PARAMETER),
    dependencies=[Depends(only("include_cleared"))],
    summary="What is wrong?",
)
async def get_alerts(services: Deps, include_cleared: Cleared = False) -> Alerts:
    """What a person should hear of, each with its cure: memory or disk nearly full, swap, heat, a queue that stands
    still, tasks that fail, steps that take much longer than usual, damaged weights, readings that have stopped.
    Each is raised once and cleared once, and told by the events `alert.raised` and `alert.cleared`.
    """
    return await services.threads.call(alerts.alerts, services, include_cleared=include_cleared)


@router.post(
    "/{alert_id}/acknowledge",
    response_model=AlertView,
    responses=manual.ok(alert_examples.ACKNOWLEDGED)
    | manual.not_found(alert_examples.NO_ALERT)
    | manual.wrong_parameter(alert_examples.NO_PARAMETER),
    dependencies=[Depends(only())],
    summary="Say that an alert was seen",
)
async def acknowledge(alert_id: AlertId, services: Deps) -> AlertView:
    """Notes when; it stays open until its cause is gone. Doing so again changes nothing."""
    return await services.threads.call(alerts.acknowledge, services, alert_id)

"""Calls about what the machine does: now, over time, and as Prometheus reads it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from wan22.api import manual, monitoring_examples
from wan22.api.handlers import monitoring
from wan22.api.monitoring_views import Metrics, PerformanceStatus
from wan22.api.query import only
from wan22.api.services import Deps
from wan22.monitoring.history import DAYS
from wan22.monitoring.prometheus import CONTENT_TYPE

router = APIRouter()

LONGEST_S = DAYS * 86_400
Window = Annotated[float, Query(ge=1, le=LONGEST_S, allow_inf_nan=False, description="Seconds back.", examples=[60])]
Step = Annotated[float, Query(ge=0.1, le=86_400, allow_inf_nan=False, description="Seconds a point.", examples=[10])]


@router.get(
    "/api/v1/performance/status",
    tags=["performance"],
    response_model=PerformanceStatus,
    responses=manual.ok(monitoring_examples.STATUS) | manual.wrong_parameter(monitoring_examples.NO_PARAMETER),
    dependencies=[Depends(only())],
    summary="What does the machine do now?",
)
async def get_status(services: Deps) -> PerformanceStatus:
    """The last reading: processors, memory, disk, GPUs and the queue. What can't be read here is null."""
    return await services.threads.call(monitoring.status, services)


@router.get(
    "/api/v1/performance/metrics",
    tags=["performance"],
    response_model=Metrics,
    responses=manual.ok(monitoring_examples.METRICS) | manual.wrong_parameter(monitoring_examples.WRONG_WINDOW),
    dependencies=[Depends(only("window_s", "step_s"))],
    summary="What has it done?",
)
async def get_metrics(services: Deps, window_s: Window = 600, step_s: Step = 5) -> Metrics:
    """Series over time, a mean for each step. The last quarter of an hour is there by the second, seven days by the
    minute; where nothing was measured, as while the server was not running, it is null.
    """
    return await services.threads.call(monitoring.metrics, services, window_s, step_s)


@router.get(
    "/metrics",
    tags=["health"],
    response_class=Response,
    responses=manual.text(monitoring_examples.PROMETHEUS),
    dependencies=[Depends(only())],
    summary="For Prometheus",
)
async def scrape(services: Deps) -> Response:
    """The same figures in Prometheus's text format, with tasks by model and status, and the seconds of their phases.
    GPUs have the names that NVIDIA's exporter gives them. No prompt and no id is in it.
    """
    text = await services.threads.call(services.monitor.exporter.text)
    return Response(text, media_type=CONTENT_TYPE)

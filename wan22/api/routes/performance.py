"""Calls about what makes runs faster or smaller on this machine."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from wan22.api import manual, performance_examples
from wan22.api.body import read_body
from wan22.api.handlers import performance
from wan22.api.handlers.performance import Wanted
from wan22.api.performance_views import Optimizations, Optimized
from wan22.api.query import only
from wan22.api.services import Deps

router = APIRouter(prefix="/api/v1/performance", tags=["performance"])

NO_OTHERS = [Depends(only())]


@router.get(
    "/optimizations",
    response_model=Optimizations,
    responses=manual.ok(performance_examples.OPTIMIZATIONS) | manual.wrong_parameter(performance_examples.NO_PARAMETER),
    dependencies=NO_OTHERS,
    summary="What makes runs faster here?",
)
async def get_optimizations(services: Deps) -> Optimizations:
    """The report's twenty, and others: what each does, whether it does so on this machine and for the weights in use,
    and why. `gain` is what it was measured to gain here, and null where it never was.
    """
    return await services.threads.call(performance.optimizations, services)


@router.post(
    "/optimize",
    response_model=Optimized,
    responses=manual.ok(performance_examples.OPTIMIZED)
    | manual.problems(400, 413, 415)
    | manual.wrong_parameter(performance_examples.NO_SUCH)
    | manual.problem(performance_examples.IN_USE),
    openapi_extra=manual.body(Wanted, performance_examples.OPTIMIZE),
    dependencies=NO_OTHERS,
    summary="Apply optimizations",
)
async def optimize(request: Request, services: Deps) -> Optimized:
    """Turns on what is off, of those that are named or of all, and measures what each gains: seconds of full load,
    between two tasks. With `undo` it turns off instead those that can be, until the server ends; the setting
    `device.optimizations_off` is for good. With `dry_run` it only tells.
    """
    body = await read_body(request, services.settings.server, services.threads)
    return await performance.optimize(services, performance.asked_for(body.fields))

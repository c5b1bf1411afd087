"""Whether the server lives, and whether it can work."""

from __future__ import annotations

from fastapi import APIRouter, Response

from wan22.api import examples, manual
from wan22.api.handlers.health import Liveness, Readiness, readiness
from wan22.api.services import Deps

router = APIRouter(tags=["health"])


@router.head("/health", include_in_schema=False)
@router.get("/health", response_model=Liveness, responses=manual.ok({"status": "ok"}), summary="Is the process alive?")
async def health() -> Liveness:
    """Answers from the event loop alone: no thread, no disk, no lock. Needs no API key."""
    return Liveness()


@router.get(
    "/v2/health",
    response_model=Readiness,
    responses=manual.ok(examples.READINESS) | manual.not_ready(Readiness),
    summary="Can it work? Every component's check",
)
async def health_of_components(response: Response, services: Deps) -> Readiness:
    """200 when a task submitted now would be carried out, else 503 with the same body."""
    found = await readiness(services)
    response.status_code = 200 if found.status == "ok" else 503
    return found

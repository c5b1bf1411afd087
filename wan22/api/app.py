"""Puts the routes, the guard and the answers to errors together into one ASGI app."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import Lifespan

from wan22.api import manual
from wan22.api.guard import Guard
from wan22.api.problems import add_handlers
from wan22.api.routes import (
    alerts,
    events,
    generation,
    health,
    models,
    monitoring,
    outputs,
    pages,
    performance,
    wan_models,
)
from wan22.api.services import Services
from wan22.api.trust import Trust


def create_app(services: Services, *, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The app over these services. Opens and closes nothing itself: that is `lifespan`'s.

    Routes may be added to it; the guard stands in front of them too. Raises ConfigurationError for allowed hosts or
    origins that can't be meant.
    """
    app = manual.DocumentedApp(
        title="WAN22",
        version=services.version,
        summary="Video generation with Wan 2.2",
        description=manual.INTRODUCTION,
        openapi_tags=manual.TAGS,
        docs_url=None,  # our own pages, which ask no other host for anything
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.services = services
    app.add_middleware(Guard, trust=Trust.of(services.settings.server))
    add_handlers(app)
    for group in (generation, outputs, events, models, wan_models, performance, monitoring, alerts, health, pages):
        app.include_router(group.router)
    return app

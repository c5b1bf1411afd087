"""Everything that a route may use, as one value; the composition root makes it, and opens and closes the parts."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from wan22.api.threads import Threads
from wan22.hardware.machine import Machine
from wan22.media.outputs import Outputs
from wan22.media.uploads import Uploads
from wan22.models.downloads import Downloads
from wan22.models.loras.arrivals import Arrivals
from wan22.models.loras.folders import Loras
from wan22.models.variants import Models
from wan22.monitoring.keeper import Keeper
from wan22.monitoring.monitor import Monitor
from wan22.orchestrator.optimizations.advisor import Advisor
from wan22.orchestrator.planning import Planner
from wan22.orchestrator.residency import ModelKey, Resident
from wan22.orchestrator.tuning import Tuning
from wan22.queue.feed import Feed
from wan22.queue.queue import Queue
from wan22.settings import Settings
from wan22.tasks import Failure, ModelType, Plan


@dataclass(frozen=True)
class FailedLoad:
    """Why a model could not be taken into memory, and when."""

    model_type: ModelType
    at: datetime
    error: Failure


@dataclass(frozen=True)
class Services:
    """The rooms below, and the few facts about the process that health needs."""

    settings: Settings
    queue: Queue
    feed: Feed
    outputs: Outputs
    uploads: Uploads
    planner: Planner
    models: Models
    loras: Loras
    arrivals: Arrivals
    downloads: Downloads
    residents: Callable[[], tuple[Resident[Any], ...]]
    load: Callable[[ModelType, Plan], Awaitable[Resident[Any]]]
    unload: Callable[[ModelType], Awaitable[Sequence[ModelKey]]]
    between: Callable[[Callable[[], None]], Awaitable[None]]  # work in the device's thread, between two tasks
    tuning: Tuning
    advisor: Advisor
    monitor: Monitor
    alerts: Keeper
    probe: Callable[[], Machine]
    worker_alive: Callable[[], bool]
    version: str
    threads: Threads = field(default_factory=Threads)
    failed_loads: dict[ModelType, FailedLoad] = field(default_factory=dict)
    """Of each model the last load ahead of a task, if it failed. Changed in the event loop alone."""
    pictures: threading.Lock = field(default_factory=threading.Lock)
    """Held from storing an input picture until a task refers to it, and while one that none refers to is removed."""


async def get_services(connection: HTTPConnection) -> Services:
    """The services of the app that serves this connection."""
    services: Services = connection.app.state.services
    return services


Deps = Annotated[Services, Depends(get_services)]

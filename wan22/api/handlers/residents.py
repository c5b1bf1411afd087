"""Which models are in memory, as callers are told, and having one loaded or dropped between two tasks."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Any

from wan22.api.download_views import Loaded, LoadError, ResidentView, Unloaded
from wan22.api.services import FailedLoad, Services
from wan22.api.views import problem_from
from wan22.errors import ServerFault
from wan22.orchestrator.residency import Resident
from wan22.tasks import Failure, ModelType

LOAD = "/api/v1/models/load"


async def load(services: Services, model_type: ModelType) -> Loaded:
    """Have a model in memory as its next task would; at once where it is. Waits for it, and for nothing else.

    Why it failed is kept until it is loaded. Raises ModelMissing, ModelCorrupt, OutOfMemory, and WrongState while a
    task runs.
    """
    try:
        plan = await services.threads.call(services.planner.default, model_type)
        before = {resident.key for resident in services.residents()}
        resident = await services.load(model_type, plan)
    except ServerFault as error:
        now = datetime.now(timezone.utc)
        services.failed_loads[model_type] = FailedLoad(model_type, now, Failure.of(error))
        raise
    services.failed_loads.pop(model_type, None)
    return Loaded(model_type=model_type, was_loaded=resident.key in before, loaded=view_resident(resident))


def last_load_error(services: Services) -> LoadError | None:
    """The newest load that failed, of a model that was not loaded since."""
    last = max(tuple(services.failed_loads.values()), key=lambda failed: failed.at, default=None)
    if last is None:
        return None
    error = problem_from(last.error, f"{LOAD}/{last.model_type.value}")
    return LoadError(model_type=last.model_type, at=last.at, error=error)


async def unload(services: Services, model_type: ModelType) -> Unloaded:
    """Give a model's memory back. Raises WrongState while a task runs."""
    held = {resident.key: view_resident(resident) for resident in services.residents()}
    dropped = await services.unload(model_type)
    return Unloaded(model_type=model_type, unloaded=tuple(held[key] for key in dropped if key in held))


def find_resident(services: Services, model_type: ModelType, variant: str | None) -> Resident[Any] | None:
    """A model in memory, with the weights of that variant before others; None if it is not loaded."""
    found = [resident for resident in services.residents() if resident.key.model_type == model_type.value]
    return next((one for one in found if one.key.variant == variant), next(iter(found), None))


def view_resident(resident: Resident[Any]) -> ResidentView:
    """A loaded model as it is shown."""
    key, idle_s = resident.key, 0.0 if resident.leases else time.monotonic() - resident.used_at
    return ResidentView(
        model_type=ModelType(key.model_type),
        variant=key.variant,
        device=key.device,
        precision=dict(key.precision),
        offload=key.offload,
        size_bytes=resident.model.size_bytes,
        leases=resident.leases,
        idle_s=None if resident.leases else round(idle_s, 1),
        used_at=datetime.now(timezone.utc) - timedelta(seconds=idle_s),
    )

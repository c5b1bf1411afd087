"""Whether the server can do its work: each component is asked, and one that does not answer in time is said to hang."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import anyio
import imageio_ffmpeg
from pydantic import Field

from wan22.api.services import Services
from wan22.api.views import View
from wan22.errors import Wan22Error
from wan22.hardware.choose import choose_device
from wan22.hardware.disk import free_bytes
from wan22.tasks import ModelType

PATIENCE_S = 3.0


class Liveness(View):
    """The process answers."""

    status: Literal["ok"] = Field(default="ok", description="Always.")


class Check(View):
    """How one component is. `detail` says why, and what to do if it is not ok."""

    status: Literal["ok", "failed"] = Field(description="Whether it can do its part.")
    detail: str = Field(description="Why, and what to do if it can't.")
    facts: dict[str, Any] = Field(default_factory=dict, description="Figures behind it.")


class Readiness(View):
    """Whether a task submitted now would be carried out, and how each component is."""

    status: Literal["ok", "unavailable"] = Field(description="ok if every component is.")
    version: str = Field(description="Of the server.")
    components: dict[str, Check] = Field(description="Every component's check, by name.")


Look = Callable[[Services], Check]


async def readiness(services: Services) -> Readiness:
    """Ask every component, all at once, each for a few seconds at most."""
    found: dict[str, Check] = {}

    async def ask(name: str, look: Look) -> None:
        found[name] = await _ask(services, look)

    async with anyio.create_task_group() as group:
        for name, look in CHECKS.items():
            group.start_soon(ask, name, look)
    is_ready = all(check.status == "ok" for check in found.values())
    return Readiness(
        status="ok" if is_ready else "unavailable",
        version=services.version,
        components={name: found[name] for name in CHECKS},
    )


async def _ask(services: Services, look: Look) -> Check:
    try:
        return await services.threads.within(PATIENCE_S, lambda: look(services))
    except TimeoutError:
        return Check(status="failed", detail=f"No answer within {PATIENCE_S:g} s; look at the server's log.")
    except Wan22Error as error:
        return Check(status="failed", detail=f"{error.detail} {error.hint}".strip())
    except OSError as error:
        return Check(status="failed", detail=f"{error}; look at the server's log.")


def _store(services: Services) -> Check:
    counts = {status.value: count for status, count in services.queue.counts().items()}
    return Check(status="ok", detail="The task database answers.", facts={"tasks": counts})


def _worker(services: Services) -> Check:
    if services.worker_alive():
        return Check(status="ok", detail="The worker takes tasks.")
    return Check(status="failed", detail="The worker has stopped; restart the server and look at its log.")


def _disk(services: Services) -> Check:
    storage = services.settings.storage
    free = free_bytes(storage.home)
    facts = {"free_bytes": free, "min_free_bytes": storage.min_free_bytes}
    if free < storage.min_free_bytes:
        return Check(status="failed", detail="Too little is free: delete tasks, or free space.", facts=facts)
    return Check(status="ok", detail="There is room for outputs.", facts=facts)


def _ffmpeg(services: Services) -> Check:
    try:
        path = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        return Check(status="failed", detail="There is no ffmpeg; install imageio-ffmpeg again.")
    return Check(status="ok", detail="Videos can be encoded.", facts={"path": path})


def _models(services: Services) -> Check:
    found = {model.value: _model(services, model) for model in ModelType}
    if all(model["variant"] is None for model in found.values()):
        return Check(status="failed", detail="No model has weights; `facts` says what to do for each.", facts=found)
    return Check(status="ok", detail="The weights that each model runs with.", facts=found)


def _model(services: Services, model: ModelType) -> Mapping[str, str | None]:
    try:
        variant = services.models.get(model)
    except Wan22Error as error:
        return {"variant": None, "why": f"{error.detail} {error.hint}"}
    return {"variant": variant.name, "why": variant.why}


def _device(services: Services) -> Check:
    machine = services.probe()
    device = choose_device(machine, services.settings.device.device)
    names = [gpu.name for gpu in machine.gpus]
    return Check(status="ok", detail=f"Tasks run on {device}.", facts={"device": device, "gpus": names})


CHECKS: dict[str, Look] = {
    "store": _store,
    "worker": _worker,
    "disk": _disk,
    "ffmpeg": _ffmpeg,
    "models": _models,
    "device": _device,
}

"""Takes a submission from its body to the queue, in the order that leaves nothing behind when a step refuses; or says
what it would take.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from starlette.requests import Request

from wan22.api.body import read_body
from wan22.api.drafts import read_draft
from wan22.api.handlers.pictures import Given, drop_unused, keep, read_pictures
from wan22.api.services import Services
from wan22.api.views import EstimateView, TaskView, view_task
from wan22.errors import DiskFull, StoreError, Wan22Error
from wan22.hardware.disk import free_bytes
from wan22.settings import StorageSettings
from wan22.tasks import Draft, ImageRef, Plan, Task
from wan22.tasks import Request as Asked


@dataclass(frozen=True)
class Submitted:
    """The task, and whether an earlier call with the same Idempotency-Key made it."""

    task: TaskView
    replayed: bool


class Refs(TypedDict):
    """Pictures by what they are for."""

    image: ImageRef | None
    last_image: ImageRef | None


@dataclass(frozen=True)
class Sent:
    """What came with one call, read and checked as far as it can be without the model."""

    draft: Draft
    given: Mapping[str, Given]
    key: str | None
    fingerprint: str

    @property
    def refs(self) -> Refs:
        """The pictures as a planner is told of them."""
        found = {name: one.ref for name, one in self.given.items()}
        return {"image": found.get("image"), "last_image": found.get("last_image")}


async def submit(request: Request, services: Services, *, choose_model: bool = False) -> Submitted:
    """Check the request and queue it; nothing is stored or queued where this raises.

    `choose_model`: a model that is left out is chosen from the inputs. Raises what the body, the pictures and the
    models object to; DiskFull, QueueFull, IdempotencyMismatch.
    """
    sent = await _read(request, services)
    return await services.threads.call(_accept, sent, services, choose_model=choose_model)


async def estimate(request: Request, services: Services) -> EstimateView:
    """What the task would take; nothing is stored or queued.

    Raises what the body, the pictures and the models object to, except that it would not fit.
    """
    return await services.threads.call(_estimated, await _read(request, services), services)


async def _read(request: Request, services: Services) -> Sent:
    key = request.headers.get("idempotency-key")
    body = await read_body(request, services.settings.server, services.threads)
    draft = await services.threads.call(read_draft, body.fields)
    given: dict[str, Given] = {}
    if draft.image or draft.last_image or body.files:
        given = await services.threads.heavy(read_pictures, draft, body.files, services)
    return Sent(draft, given, key, fingerprint(draft, given))


def fingerprint(draft: Draft, given: Mapping[str, Given]) -> str:
    """sha256 of what was asked: the same for the same fields however they were sent, and for the same pictures."""
    asked = draft.model_dump(mode="json", exclude_none=True) | {name: one.ref.id for name, one in given.items()}
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _estimated(sent: Sent, services: Services) -> EstimateView:
    request, plan = services.planner.prepare(sent.draft, **sent.refs, choose_model=True, must_fit=False)
    seen = services.queue.seconds_of(request, plan)
    return EstimateView(request=request, plan=plan, forecast=services.planner.forecast(request, plan, seen))


def _accept(sent: Sent, services: Services, *, choose_model: bool) -> Submitted:
    earlier = None if sent.key is None else services.queue.find_submitted(sent.key, sent.fingerprint)
    if earlier:
        return Submitted(view_task(services, earlier), replayed=True)
    request, plan = services.planner.prepare(sent.draft, **sent.refs, choose_model=choose_model)
    check_disk(services.settings.storage)
    services.queue.check_room()
    if not sent.given:
        return Submitted(view_task(services, _queue(sent, request, plan, services)), replayed=False)
    with services.pictures:
        try:
            keep(sent.given, services)
            task = _queue(sent, request, plan, services)
        except Wan22Error:
            drop_unused((one.ref.id for one in sent.given.values()), services)
            raise
    return Submitted(view_task(services, task), replayed=False)


def _queue(sent: Sent, request: Asked, plan: Plan, services: Services) -> Task:
    return services.queue.submit(request, plan, idempotency_key=sent.key, fingerprint=sent.fingerprint)


def check_disk(storage: StorageSettings) -> None:
    """Raise DiskFull if less is free than the settings ask for."""
    try:
        free = free_bytes(storage.home)
    except OSError as error:
        raise StoreError(f"The folder {storage.home} can't be looked at: {error}.") from error
    if free < storage.min_free_bytes:
        raise DiskFull(
            f"Only {free:,} bytes are free on the disk of {storage.home}; "
            f"new tasks need {storage.min_free_bytes:,} (setting storage.min_free_bytes)."
        )

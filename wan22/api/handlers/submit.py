"""Takes a submission from its body to the queue, in the order that leaves nothing behind when a step refuses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from wan22.api.body import read_body
from wan22.api.drafts import read_draft
from wan22.api.handlers.pictures import Given, read_pictures
from wan22.api.services import Services
from wan22.api.views import TaskView, view_task
from wan22.errors import DiskFull, InvalidRequest, StoreError
from wan22.hardware.disk import free_bytes
from wan22.settings import StorageSettings
from wan22.tasks import Draft

MAX_KEY_CHARS = 255


@dataclass(frozen=True)
class Submitted:
    """The task, and whether an earlier call with the same Idempotency-Key made it."""

    task: TaskView
    replayed: bool


async def submit(request: Request, services: Services) -> Submitted:
    """Check the request and queue it; nothing is stored or queued where this raises.

    Raises what the body, the pictures and the models object to; DiskFull, QueueFull, IdempotencyMismatch.
    """
    key = idempotency_key(request)
    body = await read_body(request, services.settings.server, services.threads)
    draft = read_draft(body.fields)
    given: dict[str, Given] = {}
    if draft.image or draft.last_image or body.files:
        given = await services.threads.heavy(read_pictures, draft, body.files, services)
    return await services.threads.call(_accept, draft, given, key, services)


def idempotency_key(request: Request) -> str | None:
    """The caller's key, or None. Raises InvalidRequest if it can't be one."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not key.strip() or len(key) > MAX_KEY_CHARS or not key.isascii() or not key.isprintable():
        raise InvalidRequest.of("Idempotency-Key", f"must be 1 to {MAX_KEY_CHARS} printable ASCII characters", key)
    return key


def fingerprint(draft: Draft, given: Mapping[str, Given]) -> str:
    """sha256 of what was asked: the same for the same fields however they were sent, and for the same pictures."""
    asked = draft.model_dump(mode="json", exclude_none=True) | {name: one.ref.id for name, one in given.items()}
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _accept(draft: Draft, given: Mapping[str, Given], key: str | None, services: Services) -> Submitted:
    asked = fingerprint(draft, given)
    if key and (earlier := services.queue.find_submitted(key, asked)):
        return Submitted(view_task(services, earlier), replayed=True)
    refs = {name: one.ref for name, one in given.items()}
    request, plan = services.planner.prepare(draft, **refs)
    check_disk(services.settings.storage)
    services.queue.check_room()
    for one in given.values():
        if one.picture is not None:
            services.uploads.save(one.picture)
    task = services.queue.submit(request, plan, idempotency_key=key, fingerprint=asked)
    return Submitted(view_task(services, task), replayed=False)


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

"""Calls about the models' files: how they stand, fetching and checking them, LoRAs."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from wan22.api import download_examples, examples, manual, model_examples
from wan22.api.body import read_body
from wan22.api.download_views import (
    DownloadPlanView,
    Loaded,
    ModelsHealth,
    ModelStatus,
    ModelStatuses,
    Runs,
    RunView,
    Unloaded,
    VerifyAnswer,
)
from wan22.api.handlers import downloads, residents
from wan22.api.handlers.models import LoraList, LoraView, list_loras, lora_at
from wan22.api.handlers.wan_models import model_named
from wan22.api.handlers.wanted import asked_for
from wan22.api.query import only
from wan22.api.routes.wan_models import OtherName as ModelName  # all examples here are of that model
from wan22.api.services import Deps
from wan22.api.upload import receive
from wan22.models.loras.arrivals import FIELD
from wan22.models.specs import OFFICIAL
from wan22.tasks import ModelType

router = APIRouter(prefix="/api/v1/models", tags=["models"])

NO_OTHERS = [Depends(only())]
NO_PARAMETERS = manual.wrong_parameter(examples.WRONG_PARAMETER)
OF_A_MODEL = manual.not_found(model_examples.NO_MODEL) | NO_PARAMETERS
NO_HUB = manual.problem(download_examples.NO_HUB)
HELD_ELSEWHERE = manual.problem(download_examples.HELD_ELSEWHERE)
NO_ROOM = manual.problem(download_examples.NO_ROOM)
NO_WEIGHTS = manual.problem(download_examples.NO_WEIGHTS)
BUSY = manual.problem(download_examples.BUSY)
EXAMPLE = json.dumps(download_examples.DOWNLOAD)

Quick = Annotated[bool, Query(description="Look at sizes and headers alone: nothing is hashed.", examples=[True])]
Repair = Annotated[bool, Query(description="Remove what is wrong and fetch it again.")]
OfVariant = Annotated[str, Query(max_length=60, description="Which of its weights, by a name of its status.")]
Verified = Annotated[
    str | None, Query(max_length=60, description="Which of its weights; by default those in use, or the official ones.")
]
Replace = Annotated[bool, Query(description="Put it in the place of a file of the same name.")]


class DownloadBody(BaseModel):
    """Which weights to fetch."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_type: ModelType = Field(description="Which model, in any case.")
    variant: str = Field(
        default=OFFICIAL, description="Which of its weights, by a name of its status; dev are the official ones."
    )
    source: str | None = Field(
        default=None,
        description="Which source to ask first: hub, mirror-1, folder-1 … in the settings' order; never an address.",
    )


@router.get(
    "/status",
    response_model=ModelStatuses,
    responses=manual.ok(download_examples.STATUSES) | NO_PARAMETERS,
    dependencies=NO_OTHERS,
    summary="How do the models' files stand?",
)
async def get_statuses(services: Deps) -> ModelStatuses:
    """Each of the three: what is on disk, what is fetched now, what is in memory. Asks no hub and reads no weights."""
    return await services.threads.call(downloads.statuses, services)


@router.get(
    "/status/{model_type}",
    response_model=ModelStatus,
    responses=manual.ok(download_examples.STATUS) | OF_A_MODEL,
    dependencies=NO_OTHERS,
    summary="How do a model's files stand?",
)
async def get_status(model_type: ModelName, services: Deps) -> ModelStatus:
    """Its real weights on disk and in memory, with the last download or verification in `run`."""
    return await services.threads.call(downloads.status, services, model_type)


@router.get(
    "/health",
    response_model=ModelsHealth,
    responses=manual.ok(download_examples.HEALTH) | NO_PARAMETERS,
    dependencies=NO_OTHERS,
    summary="What do the models hold?",
)
async def get_models_health(services: Deps) -> ModelsHealth:
    """Models in memory with their sizes and leases, RAM and VRAM, what is free where models are, and what failed last:
    a download or verification, a load, a task.
    """
    return await services.threads.call(downloads.health, services)


@router.post(
    "/download",
    status_code=202,
    response_model=RunView,
    responses=manual.ok(download_examples.RUN, 202)
    | manual.problems(400, 413, 415)
    | manual.wrong_parameter(download_examples.WRONG_BODY)
    | (BUSY | NO_HUB | NO_ROOM),
    openapi_extra=manual.body(DownloadBody, download_examples.DOWNLOAD),
    dependencies=NO_OTHERS,
    summary="Fetch a model's weights",
)
async def start_download(request: Request, response: Response, services: Deps) -> RunView:
    """Asks the hub what there is, which takes seconds, and fetches what is missing in the background. A second call
    joins the first. What does not fit on the disk is refused before the first byte; what was fetched is kept whatever
    happens, and no file has its name before its hash is right. Events `model.download` tell how it goes on.
    """
    body = await read_body(request, services.settings.server, services.threads, example=EXAMPLE)
    wanted = asked_for(services.downloads.weights, body.fields)
    run = await services.threads.slow(downloads.download, services, wanted)
    response.headers["Location"] = f"{downloads.STATUS}/{wanted.model_type.value}"
    return run


@router.get(
    "/download/plan/{model_type}",
    response_model=DownloadPlanView,
    responses=manual.ok(download_examples.PLAN)
    | manual.not_found(model_examples.NO_MODEL)
    | manual.wrong_parameter(download_examples.WRONG_VARIANT)
    | (HELD_ELSEWHERE | NO_HUB),
    dependencies=[Depends(only("variant"))],
    summary="What would a download fetch?",
)
async def get_download_plan(model_type: ModelName, services: Deps, variant: OfVariant = OFFICIAL) -> DownloadPlanView:
    """Every file with what is missing of it, and whether it fits. Asks the hub, and fetches nothing."""
    return await services.threads.slow(downloads.plan, services, model_type, variant)


@router.get(
    "/download/progress",
    response_model=Runs,
    responses=manual.ok(download_examples.RUNS) | NO_PARAMETERS,
    dependencies=NO_OTHERS,
    summary="How far are downloads?",
)
async def get_download_progress(services: Deps) -> Runs:
    """The last download or verification of each model since the server started, under way or ended."""
    return await services.threads.call(downloads.progress, services)


@router.post(
    "/download/{model_type}/cancel",
    response_model=RunView,
    responses=manual.ok(download_examples.CANCELLING) | OF_A_MODEL | manual.problem(download_examples.NOTHING_RUNS),
    dependencies=NO_OTHERS,
    summary="Stop a download or a verification",
)
async def cancel_download(model_type: ModelName, services: Deps) -> RunView:
    """It ends within about a second, and says `cancel_requested` until then. What was fetched is kept: the next
    download goes on from there.
    """
    return await services.threads.call(downloads.cancel, services, model_type)


@router.post(
    "/verify/{model_type}",
    response_model=VerifyAnswer,
    responses=manual.ok(download_examples.QUICK)
    | manual.also(202, VerifyAnswer, download_examples.VERIFYING)
    | manual.not_found(model_examples.NO_MODEL)
    | manual.wrong_parameter(download_examples.WRONG_FLAG)
    | (BUSY | NO_HUB | NO_WEIGHTS),
    dependencies=[Depends(only("quick", "repair", "variant"))],
    summary="Compare a model's files with their hashes",
)
async def verify_model(
    model_type: ModelName,
    response: Response,
    services: Deps,
    *,
    variant: Verified = None,
    quick: Quick = False,
    repair: Repair = False,
) -> VerifyAnswer:
    """With `quick` alone the answer is there at once, with a 200. Hashing takes minutes, and a repair fetches: both go
    on in the background after a 202, and are seen in `run` of the model's status. The hashes are the hub's, or were
    kept when a conversion made the files, or came with the package. Files of other programs are read where they are,
    and left as they are.
    """
    answer = await services.threads.slow(downloads.verify, services, model_type, variant, quick=quick, repair=repair)
    response.status_code = 202 if answer.run else 200
    return answer


@router.post(
    "/load/{model_type}",
    response_model=Loaded,
    responses=manual.ok(download_examples.LOADED)
    | OF_A_MODEL
    | manual.problem(download_examples.IN_USE)
    | manual.problem(download_examples.TOO_LARGE)
    | NO_WEIGHTS,
    dependencies=NO_OTHERS,
    summary="Take a model into memory",
)
async def load_model(model_type: ModelName, services: Deps) -> Loaded:
    """Ahead of its first task, and as that will have it: with the weights, device and precision that a request gets
    which names the model alone. Answers once it is loaded, which takes minutes for a large one; where it is, at once.
    Between two tasks; while one runs it is a 409. Other models are dropped where the room is needed.
    """
    return await residents.load(services, model_named(model_type))


@router.post(
    "/unload/{model_type}",
    response_model=Unloaded,
    responses=manual.ok(download_examples.UNLOADED) | OF_A_MODEL | manual.problem(download_examples.IN_USE),
    dependencies=NO_OTHERS,
    summary="Take a model out of memory",
)
async def unload_model(model_type: ModelName, services: Deps) -> Unloaded:
    """Between two tasks; while one runs it is a 409. The next task that needs the model loads it again."""
    return await residents.unload(services, model_named(model_type))


@router.get(
    "/loras",
    response_model=LoraList,
    responses=manual.ok(examples.LORAS) | NO_PARAMETERS,
    dependencies=NO_OTHERS,
    summary="List LoRAs",
)
async def get_loras(services: Deps) -> LoraList:
    """Every LoRA in the folders, with the models that it fits; the two files of a pair are one. Put a file there and it
    is in the next answer: nothing has to be started again. A request names them in `loras`.
    """
    return await services.threads.call(list_loras, services)


@router.post(
    "/loras",
    status_code=201,
    response_model=LoraView,
    responses=manual.ok(download_examples.LORA, 201)
    | manual.problems(400, 413, 415)
    | manual.problem(download_examples.TAKEN)
    | manual.wrong_parameter(download_examples.NO_LORA)
    | manual.problems(507)
    | manual.problem(download_examples.NO_LORA_FOLDER),
    openapi_extra=manual.upload(FIELD),
    dependencies=[Depends(only("replace"))],
    summary="Send a LoRA to the server",
)
async def upload_lora(request: Request, services: Deps, replace: Replace = False) -> LoraView:
    """One safetensors file as the part `file` of a multipart form. Its name, made safe, is what requests call it by;
    the two files of a pair are sent one by one. Nothing stays on disk of a file that is no LoRA.
    """
    path = await receive(request, services.arrivals, services.threads, replace=replace)
    return await services.threads.call(lora_at, services, path)

"""Calls that fetch a task's finished files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from wan22.api import examples, manual
from wan22.api.handlers import files
from wan22.api.query import only
from wan22.api.routes.generation import TaskId
from wan22.api.sending import send_file
from wan22.api.services import Deps
from wan22.api.views import TASKS

router = APIRouter(prefix=TASKS + "/{task_id}/outputs/{n}", tags=["outputs"])

Index = Annotated[int, Path(ge=0, le=1_000, description="Position among the task's outputs, from 0.", examples=[0])]
Attachment = Annotated[bool, Query(description="Ask the browser to save the file instead of showing it.")]


@router.head("", include_in_schema=False)
@router.get(
    "",
    response_class=Response,
    responses=manual.file(*files.MEDIA_TYPES.values())
    | manual.problems(404, 416)
    | manual.wrong_parameter(examples.WRONG_INDEX),
    dependencies=[Depends(only("download"))],
    summary="Fetch a finished file",
)
async def get_output(
    request: Request, task_id: TaskId, n: Index, services: Deps, download: Attachment = False
) -> Response:
    """The video or picture itself. Range asks for a part; the ETag is the file's sha256."""
    found = await services.threads.call(files.find_output, services, task_id, n)
    return await send_file(request, found, services.threads, attachment=download)


@router.head("/thumbnail", include_in_schema=False)
@router.get(
    "/thumbnail",
    response_class=Response,
    responses=manual.file("image/jpeg") | manual.problems(404, 416) | manual.wrong_parameter(examples.WRONG_INDEX),
    dependencies=[Depends(only())],
    summary="Fetch a still of a finished file",
)
async def get_thumbnail(request: Request, task_id: TaskId, n: Index, services: Deps) -> Response:
    """A small JPEG of the file."""
    found = await services.threads.call(files.find_thumbnail, services, task_id, n)
    return await send_file(request, found, services.threads)

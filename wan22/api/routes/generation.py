"""Calls that make tasks, look at them and end them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from wan22.api import examples, manual
from wan22.api.handlers import tasks
from wan22.api.handlers.submit import Submitted, estimate, submit
from wan22.api.query import only
from wan22.api.services import Deps
from wan22.api.views import TASKS, EstimateView, TaskPage, TaskView
from wan22.tasks import ModelType, Status

router = APIRouter(prefix=TASKS, tags=["generation"])

POLL_S = "1"
"""Retry-After of a 202: how soon it is worth asking again."""

TaskId = Annotated[str, AfterValidator(str.lower), Path(description="UUIDv7 of a task.", examples=[examples.TASK_ID])]


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


class ListQuery(BaseModel):
    """Which tasks to list."""

    model_config = ConfigDict(protected_namespaces=())

    status: Annotated[Status | None, BeforeValidator(_lower), Field(description="Only tasks in this status.")] = None
    model_type: Annotated[ModelType | None, Field(description="Only tasks of this model; any case.")] = None
    limit: Annotated[int, Field(ge=1, le=100, description="Tasks on a page.")] = 20
    cursor: Annotated[str | None, Field(max_length=200, description="`next_cursor` of the page before.")] = None


SUBMIT_ERRORS = manual.problems(400, 413, 415, 422, 429, 503, 507)


@router.post(
    "/submit",
    status_code=202,
    response_model=TaskView,
    responses=manual.accepted(examples.QUEUED) | SUBMIT_ERRORS,
    openapi_extra=manual.SUBMIT_BODY,
    summary="Queue a generation",
)
async def submit_task(request: Request, response: Response, services: Deps) -> TaskView:
    """Checks the request and queues it. A 202 means that the task is on disk: it outlives a crash of the server.

    JSON, or a multipart form with the picture as a file. What is left out is filled in from the model's defaults;
    `request` in the answer shows how it was understood and `plan` how it will be done. Nothing is queued on an error.
    """
    return _accepted(response, await submit(request, services))


@router.post(
    "/enhanced/submit",
    status_code=202,
    response_model=TaskView,
    responses=manual.accepted(examples.QUEUED) | SUBMIT_ERRORS,
    openapi_extra=manual.ENHANCED_BODY,
    summary="Queue a generation and let the server choose",
)
async def submit_enhanced_task(request: Request, response: Response, services: Deps) -> TaskView:
    """The same body as submit; the server chooses what is left out, the model too: by the inputs, I2V-A14B where there
    is an image and T2V-A14B for text alone. `plan.choices` says what it chose and why.
    """
    return _accepted(response, await submit(request, services, choose_model=True))


@router.post(
    "/estimate",
    response_model=EstimateView,
    responses=manual.ok(examples.ESTIMATE) | manual.problems(400, 413, 415, 422, 503),
    openapi_extra=manual.ESTIMATE_BODY,
    summary="Ask what a generation would take",
)
async def estimate_task(request: Request, services: Deps) -> EstimateView:
    """The same body as submit, and no task: how it would be carried out, how long each phase takes, how much memory,
    and whether that fits. Seconds are of tasks that ran here, or else by the GPU's published figures: `basis` tells.
    """
    return await estimate(request, services)


@router.get(
    "",
    response_model=TaskPage,
    responses=manual.ok(examples.PAGE) | manual.wrong_parameter(examples.WRONG_LIMIT),
    dependencies=[Depends(only(*ListQuery.model_fields))],
    summary="List tasks, newest first",
)
async def list_tasks(query: Annotated[ListQuery, Query()], response: Response, services: Deps) -> TaskPage:
    """A page of tasks. `next_cursor`, also in the Link header, leads to the next; it stays right while tasks arrive."""
    page = await services.threads.call(tasks.list_, services, **query.model_dump())
    if page.next_cursor:
        following = query.model_copy(update={"cursor": page.next_cursor}).model_dump(mode="json", exclude_none=True)
        response.headers["Link"] = f'<{TASKS}?{urlencode(following)}>; rel="next"'
    return page


@router.get(
    "/{task_id}",
    response_model=TaskView,
    responses=manual.ok(examples.COMPLETED) | manual.problems(404),
    summary="Look at a task",
)
async def get_task(task_id: TaskId, services: Deps) -> TaskView:
    """The task as it stands now, with the progress of its run."""
    return await services.threads.call(tasks.get, services, task_id)


@router.post(
    "/{task_id}/cancel",
    response_model=TaskView,
    responses=manual.ok(examples.CANCELLED) | manual.problems(404, 409),
    summary="Cancel a task",
)
async def cancel_task(task_id: TaskId, services: Deps) -> TaskView:
    """A queued task is cancelled at once; a running one stops soon, and says `cancel_requested` until it has."""
    return await services.threads.call(tasks.cancel, services, task_id)


@router.post(
    "/{task_id}/retry",
    status_code=202,
    response_model=TaskView,
    responses=manual.accepted(examples.QUEUED) | manual.problems(404, 409, 429, 503, 507),
    summary="Run a failed or cancelled task again",
)
async def retry_task(task_id: TaskId, response: Response, services: Deps) -> TaskView:
    """Queues a new task with the same request, seed included, planned anew; the old one stays as it is."""
    task = await services.threads.call(tasks.retry, services, task_id)
    return _accepted(response, Submitted(task, replayed=False))


@router.delete(
    "/{task_id}",
    status_code=204,
    response_class=Response,
    responses=manual.problems(404),
    summary="Delete a task and its files",
)
async def delete_task(task_id: TaskId, services: Deps) -> None:
    """Cancels the task if it has not ended, then removes its record, its files and its pictures, unless another task
    has the same picture.
    """
    await services.threads.call(tasks.delete, services, task_id)


def _accepted(response: Response, submitted: Submitted) -> TaskView:
    response.headers["Location"] = f"{TASKS}/{submitted.task.task_id}"
    response.headers["Retry-After"] = POLL_S
    if submitted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return submitted.task

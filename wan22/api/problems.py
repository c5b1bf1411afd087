"""Errors as answers: RFC 9457 problem+json, and the one table from our error classes to status codes.

No answer of the server is a plain-text error, and none carries a stack trace.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import Response
from starlette.routing import compile_path

from wan22 import errors
from wan22.api.wording import field_errors, shorten

logger = logging.getLogger(__name__)

STATUS: dict[type[errors.Wan22Error], int] = {
    errors.Wan22Error: 500,
    errors.RequestError: 400,
    errors.MalformedBody: 400,
    errors.BodyTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.InvalidRequest: 422,
    errors.InvalidImage: 422,
    errors.IdempotencyMismatch: 422,
    errors.NotFound: 404,
    errors.WrongState: 409,
    errors.QueueFull: 429,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.ConfigurationError: 503,
    errors.ServerFault: 500,
    errors.StoreError: 503,
    errors.DiskFull: 507,
    errors.ModelMissing: 503,
    errors.ModelCorrupt: 503,
    errors.DownloadFailed: 502,
    errors.EncoderFailed: 500,
    errors.OutOfMemory: 500,
    errors.WorkerCrashed: 500,
    errors.GenerationFailed: 500,
    errors.Cancelled: 409,
}

BY_CODE = {kind.code: status for kind, status in STATUS.items()}
"""Status by the stable word; a failed task's error is shown with it."""

MAX_RETRY_AFTER_S = 120
"""Clients of the OpenAI library give up when told to wait longer."""

FRAMEWORK: dict[int, tuple[str, str, str, str]] = {
    404: (
        "not_found",
        "Not found",
        "There is nothing at {path}.",
        "Paths have no slash at their end; `/docs` lists every call.",
    ),
    405: (
        "method_not_allowed",
        "Not with this method",
        "{path} can't be called with {method}.",
        "The Allow header names the methods of this path; `/docs` lists every call.",
    ),
    413: (
        "body_too_large",
        "The body is too large",
        "The body is over the limit of this call.",
        errors.BodyTooLarge.default_hint,
    ),
    416: (
        "range_not_satisfiable",
        "No such range",
        "The range is beyond the end of the file.",
        "The Content-Range header has the file's size; ask for a part of it, or leave Range out.",
    ),
    426: (
        "upgrade_required",
        "Only as a WebSocket",
        "{path} is a WebSocket.",
        "Open it with ws:// by a WebSocket client; over plain HTTP each task has its `events`.",
    ),
}
"""Code, title, detail and hint of what the framework itself refuses, or a route without an error of ours."""


class FieldProblem(BaseModel):
    """One wrong field of a request."""

    field: str = Field(description="Dotted path of the field.")
    message: str = Field(description="What is wrong and how to cure it.")
    value: Any = Field(default=None, description="What was sent, shortened.")


class Problem(BaseModel):
    """An error, after RFC 9457. `code` is a stable word to test for; `hint` says what to do next."""

    model_config = ConfigDict(frozen=True)

    detail: str = Field(description="What went wrong, in a sentence.")
    hint: str = Field(default="", description="What to do next.")
    code: str = Field(description="Stable word for the kind of error.")
    title: str = Field(description="The kind of error in words; the same for each `code`.")
    status: int = Field(description="The HTTP status.")
    type: str = Field(description="`urn:wan22:problem:` and the code.")
    instance: str = Field(default="", description="Path of the call.")
    errors: list[FieldProblem] = Field(default_factory=list, description="One entry for each wrong field.")


class ProblemResponse(Response):
    """A problem on the wire; charset is named because Windows PowerShell 5.1 reads everything else as Latin-1."""

    media_type = "application/problem+json; charset=utf-8"

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(
            problem.model_dump(mode="json"), problem.status, {"Cache-Control": "no-store", **(headers or {})}
        )

    def render(self, content: Any) -> bytes:
        """UTF-8 always; what can't be encoded becomes a question mark."""
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def problem_of(error: errors.Wan22Error, path: str = "") -> Problem:
    """The problem that stands for one of our errors."""
    return Problem(
        detail=shorten(error.detail, 1_000),
        hint=error.hint,
        code=error.code,
        title=error.title,
        status=STATUS[type(error)],
        type=f"urn:wan22:problem:{error.code}",
        instance=quote(path, errors="replace"),
        errors=[
            FieldProblem(field=shorten(item.field), message=shorten(item.message, 500), value=shorten(item.value))
            for item in getattr(error, "errors", ())[:50]
        ],
    )


def framework_problem(status: int, path: str, method: str = "GET") -> Problem:
    """The problem that stands for a bare status."""
    hint = errors.RequestError.default_hint if status < 500 else errors.Wan22Error.default_hint
    other = (f"http_{status}", f"HTTP {status}", f"The call was refused with status {status}.", hint)
    code, title, detail, hint = FRAMEWORK.get(status, other)
    return Problem(
        detail=detail.format(path=shorten(path, 200), method=method[:20]),
        hint=hint,
        code=code,
        title=title,
        status=status,
        type=f"urn:wan22:problem:{code}",
        instance=quote(path, errors="replace"),
    )


def answer(error: errors.Wan22Error, path: str = "") -> ProblemResponse:
    """The response that stands for one of our errors."""
    headers = {}
    if isinstance(error, errors.QueueFull):
        headers["Retry-After"] = str(max(1, min(error.retry_after_s, MAX_RETRY_AFTER_S)))
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="wan22"'
    if isinstance(error, errors.ServerFault):
        cause = None if isinstance(error, errors.DownloadFailed) else error.__cause__  # a dead hub is no mystery
        logger.error("A call failed: %s", error.detail, exc_info=cause, extra={"action": "call_failed"})
    return ProblemResponse(problem_of(error, path), headers)


async def _ours(connection: HTTPConnection, error: Exception) -> Response:
    known = error if isinstance(error, errors.Wan22Error) else errors.Wan22Error(str(error))
    return answer(known, connection.scope["path"])


async def _parameters(connection: HTTPConnection, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    return answer(errors.InvalidRequest(field_errors(found)), connection.scope["path"])


async def _framework(connection: HTTPConnection, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    path = connection.scope["path"]
    headers = dict(getattr(error, "headers", None) or {})
    if status == 405:
        headers["Allow"] = ", ".join(_methods_of(connection.app, path))
    return ProblemResponse(framework_problem(status, path, connection.scope.get("method", "")), headers)


def _methods_of(app: FastAPI, path: str) -> list[str]:
    """Every method that the path can be called with; the framework names only those of one of its routes."""
    routes = (route for route in iter_route_contexts(app.routes) if route.path and route.methods)
    found = (route.methods or () for route in routes if compile_path(route.path or "")[0].match(path))
    return sorted(set().union(*found))


async def _left(connection: HTTPConnection, error: Exception) -> Response:
    return answer(errors.RequestError("The caller left before the body was whole."), connection.scope["path"])


async def _unforeseen(connection: HTTPConnection, error: Exception) -> Response:
    """The framework raises `error` again once this is sent, so the server's log has the trace."""
    fault = errors.Wan22Error(
        "The server met an error that it did not foresee.",
        hint="The server's log has the cause; please report it with the request that led here.",
    )
    return ProblemResponse(problem_of(fault, connection.scope["path"]), connection.scope.get("wan22.headers"))


def add_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    app.add_exception_handler(errors.Wan22Error, _ours)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_exception_handler(Exception, _unforeseen)

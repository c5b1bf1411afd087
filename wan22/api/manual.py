"""What OpenAPI says beyond the routes' own types, so that Swagger UI reads like a manual: bodies, errors, examples."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from wan22.api import examples
from wan22.tasks import Draft

Responses = dict[int | str, dict[str, Any]]

_SCHEMAS = "#/components/schemas/"

INTRODUCTION = """Generates video with the three Wan 2.2 models on one machine.

Submit a request, then follow the task by its events or look at it now and then, and fetch its outputs.
JSON is snake_case; times are RFC 3339 in UTC, durations end in `_s`, sizes in `_bytes`; `progress` goes from 0 to 1.
Every error is an RFC 9457 problem with a stable `code`, a sentence in `detail` and the cure in `hint`.
A misspelt field or parameter is an error that names the nearest known one.

**Live events:** `WS /api/v1/ws` sends every event as `{id, type, task_id, at, data}`; `?task_id=` narrows it to one
task and `?after=` replays from an event id. It answers `{"type": "ping"}` and `{"type": "cancel", "task_id": "…"}`.

**Windows PowerShell 5.1:** send `-ContentType 'application/json; charset=utf-8'`, or letters beyond Latin-1 are lost.
"""

TAGS = [
    {"name": "generation", "description": "Make tasks, look at them, end them."},
    {"name": "outputs", "description": "Fetch finished files."},
    {"name": "events", "description": "Follow tasks as they go on."},
    {"name": "health", "description": "Is the server alive, and can it work?"},
]

KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "The same key and body give the same task again for a day, with another body a 422; "
    "so a call whose answer was lost can be sent again.",
}

SUBMIT_BODY: dict[str, Any] = {
    "parameters": [KEY_HEADER],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": _SCHEMAS + "Draft"}, "example": examples.SUBMIT},
            "multipart/form-data": {"schema": {"$ref": _SCHEMAS + "DraftForm"}, "example": examples.FORM},
        },
    },
}

ACCEPTED_HEADERS = {
    "Location": {"schema": {"type": "string"}, "description": "Path of the task."},
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which to look at it."},
    "Idempotent-Replayed": {"schema": {"type": "string"}, "description": "`true` if an earlier call made the task."},
}


def ok(example: Any, status: int = 200) -> Responses:
    """A JSON answer with its worked example."""
    return {status: {"content": {"application/json": {"example": example}}}}


def accepted(example: Any) -> Responses:
    """A 202 that names the task."""
    return {202: {"headers": ACCEPTED_HEADERS, "content": {"application/json": {"example": example}}}}


def not_ready(model: type[BaseModel]) -> Responses:
    """The 503 of a readiness check, which has the same body as its 200."""
    schema = {"schema": {"$ref": _SCHEMAS + model.__name__}}
    return {503: {"description": "A component has failed.", "content": {"application/json": schema}}}


def file(*media_types: str) -> Responses:
    """A file of one of these types, whole, in part, or unchanged."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in media_types}
    return {
        200: {"description": "The file.", "content": content},
        206: {"description": "The part that Range asked for.", "content": content},
        304: {"description": "It is still what If-None-Match names."},
    }


def stream(example: str) -> Responses:
    """Server-Sent Events."""
    content = {"text/event-stream": {"schema": {"type": "string"}, "example": example}}
    return {200: {"description": "Events.", "content": content}, 204: {"description": "There is nothing more to come."}}


def problems(*statuses: int) -> Responses:
    """The errors of a call, each with an example; 403, and 401 where there is a key, may come from any."""
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    code, title, detail, hint = examples.PROBLEMS[status]
    example = {"detail": detail, "hint": hint, "code": code, "title": title, "status": status}
    example |= {"type": f"urn:wan22:problem:{code}", "instance": "/api/v1/generation/submit", "errors": []}
    content = {"schema": {"$ref": _SCHEMAS + "Problem"}, "example": example}
    return {"description": title, "content": {"application/problem+json": content}}


class DocumentedApp(FastAPI):
    """FastAPI with the schemas of the bodies that we read ourselves."""

    def openapi(self) -> dict[str, Any]:
        """The document; made once."""
        if self.openapi_schema is None:
            _complete(super().openapi())
        return super().openapi()


def _complete(document: dict[str, Any]) -> None:
    """Add what we read ourselves, and take out the framework's idea of an error, which it never answers with."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_draft_schemas())
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for calls in document["paths"].values():
        for call in calls.values():
            if "application/json" in call["responses"].get("422", {}).get("content", {}):
                del call["responses"]["422"]
    document["components"]["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    document["security"] = [{}, {"key": []}, {"bearer": []}]  # none is needed unless the server has a key


def _draft_schemas() -> dict[str, Any]:
    """Draft, the parts that it refers to, and the same as a form."""
    draft = Draft.model_json_schema(ref_template=_SCHEMAS + "{model}")
    parts = draft.pop("$defs", {})
    binary = {"type": "string", "format": "binary"}
    pictures = {name: {**binary, "description": f"{name} as a file."} for name in ("image", "last_image")}
    form = {**draft, "title": "DraftForm", "properties": {**draft["properties"], **pictures}}
    return {**parts, "Draft": draft, "DraftForm": form}

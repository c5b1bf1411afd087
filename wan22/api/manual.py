"""What OpenAPI says beyond the routes' own types, so that Swagger UI reads like a manual: bodies, errors, examples."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from starlette.routing import BaseRoute

from wan22.api import examples
from wan22.api.problems import Problem, problem_of
from wan22.api.trust import OPEN_PATHS
from wan22.errors import InvalidRequest, NotFound, Wan22Error
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
    {"name": "models", "description": "What is on disk beside the server: the models' weights, and LoRAs."},
    {
        "name": "wan-models",
        "description": "What is known of the three models: abilities, health, speed, which to take.",
    },
    {"name": "performance", "description": "What makes runs faster or smaller on this machine."},
    {"name": "health", "description": "Is the server alive, and can it work?"},
    {"name": "dashboard", "description": "What a person should hear of, and the page in the browser."},
]

KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "The same key and body give the same task again for a day, with another body a 422; "
    "so a call whose answer was lost can be sent again.",
}


def _submit_body(example: dict[str, Any], form: dict[str, Any], *, headers: Sequence[Any] = (KEY_HEADER,)) -> Any:
    content = {
        "application/json": {"schema": {"$ref": _SCHEMAS + "Draft"}, "example": example},
        "multipart/form-data": {"schema": {"$ref": _SCHEMAS + "DraftForm"}, "example": form},
    }
    return {"parameters": list(headers), "requestBody": {"required": True, "content": content}}


SUBMIT_BODY = _submit_body(examples.SUBMIT, examples.FORM)
ENHANCED_BODY = _submit_body(examples.ENHANCED, examples.ENHANCED_FORM)
ESTIMATE_BODY = _submit_body(examples.SUBMIT, examples.FORM, headers=())

ACCEPTED_HEADERS = {
    "Location": {"schema": {"type": "string"}, "description": "Path of the task."},
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which to look at it."},
    "Idempotent-Replayed": {"schema": {"type": "string"}, "description": "`true` if an earlier call made the task."},
}


def ok(example: Any, status: int = 200) -> Responses:
    """A JSON answer with its worked example."""
    return {status: {"content": {"application/json": {"example": example}}}}


def also(status: int, model: type[BaseModel], example: Any) -> Responses:
    """A second good status of a call, with the same kind of answer."""
    return {status: {"model": model, "content": {"application/json": {"example": example}}}}


def body(model: type[BaseModel], example: Any) -> dict[str, Any]:
    """A JSON body that we read ourselves."""
    content = {"application/json": {"schema": model.model_json_schema(), "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def upload(field: str) -> dict[str, Any]:
    """A multipart body with one file."""
    binary = {"type": "string", "format": "binary", "description": "The file."}
    schema = {"type": "object", "properties": {field: binary}, "required": [field]}
    content = {"multipart/form-data": {"schema": schema, "example": {field: examples.BYTES}}}
    return {"requestBody": {"required": True, "content": content}}


def accepted(example: Any) -> Responses:
    """A 202 that names the task."""
    return {202: {"headers": ACCEPTED_HEADERS, "content": {"application/json": {"example": example}}}}


def not_ready(model: type[BaseModel]) -> Responses:
    """The 503 of a readiness check, which has the same body as its 200."""
    schema = {"schema": {"$ref": _SCHEMAS + model.__name__}}
    return {503: {"description": "A component has failed.", "content": {"application/json": schema}}}


def file(*media_types: str) -> Responses:
    """A file of one of these types, whole, in part, or unchanged."""
    binary = {"schema": {"type": "string", "format": "binary"}, "example": examples.BYTES}
    content = dict.fromkeys(media_types, binary)
    headers = {name: {"schema": {"type": "string"}, "example": value} for name, value in examples.FILE_HEADERS.items()}
    part = {"Content-Range": {"schema": {"type": "string"}, "example": examples.CONTENT_RANGE}}
    return {
        200: {"description": "The file.", "headers": headers, "content": content},
        206: {"description": "The part that Range asked for.", "headers": {**headers, **part}, "content": content},
        304: {"description": "It is still what If-None-Match names."},
    }


def page() -> Responses:
    """An HTML page, whole or unchanged."""
    content = {"text/html": {"schema": {"type": "string"}, "example": examples.PAGE_HTML}}
    return {
        200: {"description": "The page.", "content": content},
        304: {"description": "It is still what If-None-Match names."},
    }


def text(example: str) -> Responses:
    """Plain text."""
    return {200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": example}}}}


def stream(example: str) -> Responses:
    """Server-Sent Events."""
    content = {"text/event-stream": {"schema": {"type": "string"}, "example": example}}
    return {200: {"description": "Events.", "content": content}, 204: {"description": "There is nothing more to come."}}


def problems(*statuses: int) -> Responses:
    """The errors of a call, each with an example; those of the guard are added to every call by itself."""
    return {status: _problem(examples.PROBLEMS[status]) for status in statuses}


def not_found(example: NotFound) -> Responses:
    """The 404 of a call about something other than a task."""
    return {404: _problem(problem_of(example))}


def wrong_parameter(example: InvalidRequest) -> Responses:
    """The 422 of a call that has no body."""
    return {422: _problem(problem_of(example))}


def problem(example: Wan22Error) -> Responses:
    """An error of a call about something other than a task."""
    return {problem_of(example).status: _problem(problem_of(example))}


def _problem(example: Problem) -> dict[str, Any]:
    content = {"schema": {"$ref": _SCHEMAS + "Problem"}, "example": example.model_dump(mode="json")}
    return {"description": example.title, "content": {"application/problem+json": content}}


class DocumentedApp(FastAPI):
    """FastAPI with the schemas of the bodies that we read ourselves."""

    def openapi(self) -> dict[str, Any]:
        """The document; made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            _restore_examples(document, self.routes)
            _complete(document)
        return super().openapi()


def _restore_examples(document: dict[str, Any], routes: Sequence[BaseRoute]) -> None:
    """Put the examples of answers back as they are: the framework drops what is null from all of the document."""
    for route in iter_route_contexts(routes):
        for method in route.methods or ():
            call = document["paths"].get(route.path_format, {}).get(method.lower())
            for status, answer in (route.responses if call else {}).items():
                for media_type, said in answer.get("content", {}).items():
                    if "example" in said:
                        content = call["responses"][str(status)]["content"][media_type]
                        content["example"] = deepcopy(said["example"])


def _complete(document: dict[str, Any]) -> None:
    """Add what we read ourselves, and take out the framework's idea of an error, which it never answers with."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_draft_schemas())
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, calls in document["paths"].items():
        for call in calls.values():
            _complete_call(path, call["responses"])
    document["components"]["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    document["security"] = [{}, {"key": []}, {"bearer": []}]  # none is needed unless the server has a key


def _complete_call(path: str, responses: dict[str, Any]) -> None:
    """Only errors that the call answers with, the guard's among them, each under the path of the call."""
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]
    guards = (403,) if path in OPEN_PATHS else (401, 403)
    responses.update({str(status): answer for status, answer in problems(*guards).items()})
    for answer in responses.values():
        for content in answer.get("content", {}).values():
            if "instance" in content.get("example", ()):
                content["example"]["instance"] = path.format(**examples.IN_PATHS)


def _draft_schemas() -> dict[str, Any]:
    """Draft, the parts that it refers to, and the same as a form."""
    draft = Draft.model_json_schema(ref_template=_SCHEMAS + "{model}")
    parts = draft.pop("$defs", {})
    binary = {"type": "string", "format": "binary"}
    pictures = {name: {**binary, "description": f"{name} as a file."} for name in ("image", "last_image")}
    form = {**draft, "title": "DraftForm", "properties": {**draft["properties"], **pictures}}
    return {**parts, "Draft": draft, "DraftForm": form}

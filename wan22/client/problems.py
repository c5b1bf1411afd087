"""From an answer, or the lack of one, to one of our errors. The only place that knows what httpx raises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from wan22.errors import (
    ConfigurationError,
    FieldError,
    InvalidRequest,
    QueueFull,
    RequestError,
    ServerFault,
    Wan22Error,
)


def _tree(root: type[Wan22Error]) -> Iterator[type[Wan22Error]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


_BY_CODE = {kind.code: kind for kind in _tree(Wan22Error)}


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Raise ServerFault, with its cure, where `url` can't be talked to, and ConfigurationError where it is no URL."""
    try:
        yield
    except httpx.ConnectError as error:
        raise ServerFault(f"No WAN22 server answers at {url}.", hint="Start it with `wan22 serve`.") from error
    except httpx.TimeoutException as error:
        raise ServerFault(
            f"The server at {url} did not answer in time.", hint="Look at its log; `wan22 doctor` checks the machine."
        ) from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise ConfigurationError(
            f"{url!r} is not the address of a server; write it as http://127.0.0.1:8000."
        ) from error
    except httpx.TransportError as error:
        raise ServerFault(
            f"The connection to {url} was lost: {error}.", hint="See whether the server still runs, then try again."
        ) from error


def check(response: httpx.Response) -> None:
    """Raise the error that an answer of 400 or above stands for; the body must have been read."""
    if response.status_code >= 400:
        raise problem_error(response)


def problem_error(response: httpx.Response) -> Wan22Error:
    """The error behind a problem+json answer, chosen by its `code`; by the status where there is none."""
    problem = _problem(response)
    kind = _BY_CODE.get(str(problem.get("code")), RequestError if response.status_code < 500 else ServerFault)
    detail = str(problem.get("detail") or problem.get("title") or f"The server answered {response.status_code}.")
    hint = str(problem.get("hint") or "")
    if kind is InvalidRequest:
        return InvalidRequest(_field_errors(problem, detail), hint=hint)
    if kind is QueueFull:
        return QueueFull(detail, retry_after_s=_retry_after_s(response), hint=hint)
    return kind(detail, hint=hint)


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        body = json.loads(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _field_errors(problem: dict[str, Any], detail: str) -> list[FieldError]:
    listed = problem.get("errors")
    items = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    return [
        FieldError(str(item.get("field", "")), str(item.get("message", "")), item.get("value")) for item in items
    ] or [FieldError("request", detail)]


def _retry_after_s(response: httpx.Response) -> int:
    value = response.headers.get("Retry-After", "")
    return int(value) if value.isascii() and value.isdigit() else 1

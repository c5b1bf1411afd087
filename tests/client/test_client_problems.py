"""Every problem of a server becomes the error that it was there."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan22 import errors
from wan22.client.problems import problem_error
from wan22.errors import FieldError, InvalidRequest, QueueFull, RequestError, ServerFault, Wan22Error


def answered(status: int, **body: object) -> httpx.Response:
    return httpx.Response(status, json=body)


def kinds(root: type[Wan22Error]) -> list[type[Wan22Error]]:
    return [root, *(kind for child in root.__subclasses__() for kind in kinds(child))]


@pytest.mark.parametrize("kind", sorted({*kinds(Wan22Error)} - {InvalidRequest}, key=lambda kind: kind.code))
def test_an_error_is_found_by_its_code(kind: type[Wan22Error]) -> None:
    error = problem_error(answered(418, code=kind.code, detail="No.", hint="Try."))
    assert (type(error), error.detail, error.hint) == (kind, "No.", "Try.")


def test_wrong_fields_come_with_their_values() -> None:
    errors_ = [{"field": "fps", "message": "must be 8, 12, 16 or 24", "value": 7}]
    error = problem_error(answered(422, code="invalid_request", detail="…", errors=errors_))
    assert isinstance(error, InvalidRequest)
    assert error.errors == (FieldError("fps", "must be 8, 12, 16 or 24", 7),)


def test_a_full_queue_says_when_to_come_again() -> None:
    response = httpx.Response(429, json={"code": "queue_full", "detail": "Full."}, headers={"Retry-After": "42"})
    error = problem_error(response)
    assert isinstance(error, QueueFull)
    assert error.retry_after_s == 42


@pytest.mark.parametrize(("status", "kind"), [(400, RequestError), (451, RequestError), (500, ServerFault)])
def test_an_unknown_code_is_judged_by_its_status(status: int, kind: type[Wan22Error]) -> None:
    assert type(problem_error(answered(status, code="of_tomorrow", title="New"))) is kind


@given(body=st.binary(max_size=60) | st.sampled_from([b"[]", b"null", b'{"errors": [1]}', b'{"detail": 3}']))
def test_any_body_becomes_an_error(body: bytes) -> None:
    assert isinstance(problem_error(httpx.Response(502, content=body)), errors.ServerFault)

"""Query parameters: a misspelt one is an error that names the nearest known one, for HTTP and WebSocket alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from itertools import islice

from starlette.requests import HTTPConnection

from wan22.api.wording import nearest_word, unknown
from wan22.errors import InvalidRequest

MAX_UNKNOWN = 50


def check_query(sent: Iterable[str], known: Iterable[str]) -> None:
    """Raise InvalidRequest with one entry for each name in `sent` that is not in `known`."""
    known = tuple(known)
    strangers = islice((name for name in sent if name not in known), MAX_UNKNOWN)
    if wrong := [unknown(name, None, known=known, nearest=nearest_word(name, known)) for name in strangers]:
        raise InvalidRequest(wrong)


def only(*known: str) -> Callable[[HTTPConnection], Awaitable[None]]:
    """A dependency for a route that takes these query parameters and no others."""

    async def check(connection: HTTPConnection) -> None:
        sent = connection.query_params
        check_query(sent, known)
        if twice := [name for name in sent if len(sent.getlist(name)) > 1]:
            raise InvalidRequest.of(twice[0], "must be sent once: which of them is meant can't be told", sent[twice[0]])

    return check

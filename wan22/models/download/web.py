"""GET over HTTP for the sources: redirects followed by hand, the token for one host only, errors of httpx as ours.

Knows nothing of files and ranges (`sources`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import httpx
from pydantic import SecretStr

from wan22.models.download.pace import Stop, retry_after_s

_MAX_REDIRECTS = 8
_CONNECT_S = 10.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # what another try may cure
_PERMIT = "Put a token of the hub that may read it into download.token (WAN22_DOWNLOAD__TOKEN)."
_REFUSALS = {
    401: ("it wants a token, or another one (401)", _PERMIT),
    403: (
        "it refuses (403): the licence may have to be accepted on its page, or a token is needed",
        f"Accept the licence on the repository's page, if it has one. {_PERMIT}",
    ),
    404: ("it does not have it (404)", "Check the repository and the revision, and that download.hub is the hub's."),
    416: ("its file is shorter (416)", ""),
}
_PLAIN = {"Accept-Encoding": "identity", "User-Agent": "wan22"}  # bytes as they are: ranges count them


class SourceFailed(Exception):
    """A source did not give what it was asked for; never leaves the package. `final`: asking again won't help."""

    def __init__(self, reason: str, *, final: bool = False, retry_after_s: float | None = None, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint  # the cure, where this reason has one of its own
        self.reason = reason
        self.final = final
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Key:
    """A token, and the one origin that it is sent to: not to a mirror, and not to where the hub redirects."""

    origin: str
    token: SecretStr | None

    def headers_for(self, url: httpx.URL) -> dict[str, str]:
        """The Authorization header, where the address is the hub's own."""
        if self.token is None or _origin(url) != _origin(httpx.URL(self.origin)):
            return {}
        return {"Authorization": f"Bearer {self.token.get_secret_value()}"}


@dataclass(frozen=True)
class Query:
    """One GET: where to, what else to say, with which token, and whether a redirect may lead to another host."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    key: Key | None = None
    same_host: bool = False
    look: Callable[[httpx.Headers], None] = lambda headers: None  # at those of the first host, which may redirect


class Web:
    """One pool of connections for all threads. A read that has no byte for `stall_s` fails."""

    def __init__(self, stop: Stop, *, stall_s: float) -> None:
        self._stop = stop
        timeout = httpx.Timeout(stall_s, connect=min(_CONNECT_S, stall_s), pool=None)
        self._client = httpx.Client(timeout=timeout, headers=_PLAIN, limits=httpx.Limits(max_keepalive_connections=8))

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @contextlib.contextmanager
    def get(self, query: Query) -> Iterator[httpx.Response]:
        """The answer of the last host, for the length of the block. Raises SourceFailed, also for a read in the block,
        and Stopped."""
        try:
            with self._following(query) as response:
                _refuse(response)
                yield response
        except httpx.TimeoutException as error:
            raise SourceFailed("no byte came for too long") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise SourceFailed(f"the connection failed ({_words(error)})") from error
        except (httpx.InvalidURL, UnicodeError) as error:  # the latter of a host that is no name
            raise SourceFailed(f"its address can't be used ({_words(error)})", final=True) from error

    @contextlib.contextmanager
    def _following(self, query: Query) -> Iterator[httpx.Response]:
        url = httpx.URL(query.url)
        for hop in range(_MAX_REDIRECTS):
            with self._sent(query, url) as response:
                if hop == 0:
                    query.look(response.headers)
                if not response.has_redirect_location:
                    yield response
                    return
                url = _next(response, query)
        raise SourceFailed("it redirects without end", final=True)

    @contextlib.contextmanager
    def _sent(self, query: Query, url: httpx.URL) -> Iterator[httpx.Response]:
        self._stop.check()
        headers = {**query.headers, **(query.key.headers_for(url) if query.key else {})}
        with (
            self._client.stream("GET", url, headers=headers) as response,
            self._stop.shutting(response.extensions.get("network_stream")),
        ):
            yield response


def _next(response: httpx.Response, query: Query) -> httpx.URL:
    url = response.url.join(response.headers["Location"])
    if query.same_host and _origin(url) != _origin(response.url):
        raise SourceFailed(f"it redirects to another host, {url.host}", final=True)
    return url


def _refuse(response: httpx.Response) -> None:
    """Raises SourceFailed unless the answer has what was asked for."""
    status = response.status_code
    if status in (200, 206):
        return
    if status in _PASSING:
        wait_s = retry_after_s(response.headers.get("Retry-After"))
        raise SourceFailed(f"it answered {status}", retry_after_s=wait_s, hint="Wait some minutes, then ask again.")
    reason, hint = _REFUSALS.get(status, (f"it answered {status}", ""))
    raise SourceFailed(reason, final=True, hint=hint)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

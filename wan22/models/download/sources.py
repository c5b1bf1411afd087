"""Where bytes come from: the hub, its mirrors, a plain folder behind HTTP, a folder on disk. Frozen values.

A source opens a file at a byte and says what it gives; whether the bytes are right is never its word (`part`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, ClassVar, Protocol
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from wan22.models.download.listing import Listing, WantedFile
from wan22.models.download.web import Key, Query, SourceFailed, Web

HUB = "https://huggingface.co"

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Ask:
    """Bytes `start` to `end` of a file; `etag` if this source gave the bytes before, and it is to be the same file."""

    listing: Listing
    file: WantedFile
    start: int
    end: int
    etag: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What asks for the range over HTTP; nothing for a whole file."""
        if (self.start, self.end) == (0, self.file.size):
            return {}
        last = "" if self.end == self.file.size else str(self.end - 1)
        condition = {"If-Range": self.etag} if self.etag else {}
        return {"Range": f"bytes={self.start}-{last}", **condition}


@dataclass(frozen=True)
class Answer:
    """Bytes from `first_byte` on, which is 0 where a server ignores ranges; `etag` only if it is a strong one.

    `is_waiting` tells whether the next chunk has come already.
    """

    first_byte: int
    chunks: Iterator[bytes]
    etag: str | None = None
    is_waiting: Callable[[], bool] = lambda: False


class Source(Protocol):
    """What all sources are."""

    @property
    def name(self) -> str:
        """For people and for the records beside the parts; without anything secret."""

    @property
    def is_disk(self) -> bool:
        """Whether it is a disk, where one wrong file says nothing of the others; a server is left for it."""

    def open(self, ask: Ask, web: Web) -> contextlib.AbstractContextManager[Answer]:
        """The answer, for the length of a block. Raises SourceFailed, also while its chunks are read."""


@dataclass(frozen=True)
class HubSource:
    """The hub itself: the one source that has a token, and whose listing is believed."""

    is_disk: ClassVar[bool] = False
    repository: str
    endpoint: str = HUB
    token: SecretStr | None = None

    @property
    def name(self) -> str:
        """The hub's address."""
        return f"hub {_shown(self.endpoint)}"

    @property
    def key(self) -> Key:
        """The token, for the hub's own host alone."""
        return Key(self.endpoint, self.token)

    def open(self, ask: Ask, web: Web) -> contextlib.AbstractContextManager[Answer]:
        """From the route of the listing's commit, wherever that redirects to."""
        return _over_http(Query(_resolve(self.endpoint, self.repository, ask), ask.headers, self.key), ask, web)


@dataclass(frozen=True)
class MirrorSource:
    """Another server with the hub's routes; it has no place for a token."""

    is_disk: ClassVar[bool] = False
    repository: str
    endpoint: str

    @property
    def name(self) -> str:
        """The mirror's address."""
        return f"mirror {_shown(self.endpoint)}"

    def open(self, ask: Ask, web: Web) -> contextlib.AbstractContextManager[Answer]:
        """From the same route as on the hub."""
        return _over_http(Query(_resolve(self.endpoint, self.repository, ask), ask.headers), ask, web)


@dataclass(frozen=True)
class HttpFolder:
    """A folder behind any web server, with the files in it as in the repository."""

    is_disk: ClassVar[bool] = False
    url: str

    @property
    def name(self) -> str:
        """The folder's address."""
        return f"folder {_shown(self.url)}"

    def open(self, ask: Ask, web: Web) -> contextlib.AbstractContextManager[Answer]:
        """From the folder's address and the file's path."""
        return _over_http(Query(f"{self.url.rstrip('/')}/{quote(ask.file.path)}", ask.headers), ask, web)


@dataclass(frozen=True)
class LocalFolder:
    """A folder on this machine or on a share, with the files in it as in the repository."""

    is_disk: ClassVar[bool] = True
    path: Path

    @property
    def name(self) -> str:
        """The folder's path."""
        return f"folder {self.path}"

    @contextlib.contextmanager
    def open(self, ask: Ask, web: Web) -> Iterator[Answer]:
        """Read from where the range begins."""
        try:
            with (self.path / ask.file.path).open("rb") as file:
                if file.seek(0, 2) != ask.file.size:
                    raise SourceFailed("its file has another size", final=True)
                file.seek(ask.start)
                yield Answer(ask.start, _blocks(file))
        except OSError as error:
            raise SourceFailed(f"it can't be read: {error.strerror or type(error).__name__}", final=True) from error


@dataclass(frozen=True)
class Renamed:
    """A source whose files have other paths there than here; `there` has those by ours."""

    source: Source
    there: Mapping[str, str]

    @property
    def name(self) -> str:
        """That of the source."""
        return self.source.name

    @property
    def is_disk(self) -> bool:
        """Whether the source is one."""
        return self.source.is_disk

    def open(self, ask: Ask, web: Web) -> contextlib.AbstractContextManager[Answer]:
        """Ask the source for the path that it knows."""
        file = replace(ask.file, path=self.there.get(ask.file.path, ask.file.path))
        return self.source.open(replace(ask, file=file), web)


@contextlib.contextmanager
def _over_http(query: Query, ask: Ask, web: Web) -> Iterator[Answer]:
    with web.get(replace(query, look=lambda headers: _refuse_another_file(headers, ask.file))) as response:
        etag = response.headers.get("ETag")
        strong = etag if etag and etag.startswith('"') else None  # a weak one is no proof that the bytes are the same
        yield Answer(_first_byte(response, ask), response.iter_raw(), strong, _waiting(response))


def _waiting(response: httpx.Response) -> Callable[[], bool]:
    """Whether bytes of the answer have come that were not read yet."""
    stream = response.extensions.get("network_stream")
    return lambda: bool(stream and stream.get_extra_info("is_readable"))


def _first_byte(response: httpx.Response, ask: Ask) -> int:
    """Where the body begins. Raises SourceFailed if it is not of a file of the wanted size, or not of the range."""
    headers = response.headers
    if headers.get("Content-Encoding", "identity") != "identity":
        raise SourceFailed("it sends the file compressed", final=True)
    if response.status_code == 200:
        _refuse_size(headers.get("Content-Length"), ask.file.size)
        return 0
    found = _RANGE.fullmatch(headers.get("Content-Range", ""))
    if found is None or found[1] != str(ask.start):
        raise SourceFailed("it answers with another range than it was asked for", final=True)
    _refuse_size(found[2], ask.file.size)
    return ask.start


def _refuse_another_file(headers: httpx.Headers, file: WantedFile) -> None:
    """The hub says before it redirects which file it means; a mirror that has another one says so too."""
    _refuse_size(headers.get("X-Linked-Size"), file.size)
    linked = headers.get("X-Linked-Etag", "").strip('"')
    if len(linked) == len(file.digest) and linked != file.digest:
        raise SourceFailed("it has another version of the file", final=True)


def _refuse_size(said: str | None, size: int) -> None:
    if said is not None and said.isdecimal() and (said.lstrip("0") or "0") != str(size):  # int refuses long ones
        raise SourceFailed(f"its file has another size ({said:.20} bytes)", final=True)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _resolve(endpoint: str, repository: str, ask: Ask) -> str:
    return f"{endpoint.rstrip('/')}/{repository}/resolve/{ask.listing.commit}/{quote(ask.file.path)}"


def _shown(url: str) -> str:
    """The address without a user's name and password in it."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):  # which asking for it tells
        return url
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}{parsed.path.rstrip('/')}"

"""Takes the one file of a multipart body and hands its bytes on as they come: it may be larger than the memory.

Judges no file and names none; the submit calls' forms, which are small, are `form`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from wan22.api.disposition import file_name
from wan22.api.threads import Threads
from wan22.errors import InvalidRequest, MalformedBody, UnsupportedMediaType
from wan22.models.loras.arrivals import FIELD, Arrival, Arrivals

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # exists for type checkers only

BLOCK = 1 << 20  # bytes that are written at once
FRAME_BYTES = 2_000  # what a form adds to its file at most, where only the size of both is told
_CURE = f'Send a multipart form with the file as its part `{FIELD}`: curl -F "{FIELD}=@my_lora.safetensors".'


class _OneFile:
    """Gathers what the parser calls out: the name of the file, and bytes until they are taken."""

    def __init__(self) -> None:
        self.client_name: str | None = None
        self.waiting = bytearray()
        self.is_whole = False
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = ""
        self._parts = 0

    def callbacks(self) -> MultipartCallbacks:
        """What the parser calls."""
        return {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_end": self._on_end,
        }

    def take(self) -> bytes:
        """The bytes that wait."""
        taken, self.waiting = bytes(self.waiting), bytearray()
        return taken

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise MalformedBody("The form has more than one part.", hint=_CURE)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.waiting += data[start:end]

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value.decode("latin-1")
        self._header, self._value = bytearray(), bytearray()

    def _on_headers_finished(self) -> None:
        options = parse_options_header(self._disposition)[1]
        field = options.get(b"name", b"").decode("utf-8", "replace")
        if field != FIELD:
            raise InvalidRequest.of(field[:80] or "name", f"is unknown; the file goes into the part {FIELD}")
        self.client_name = file_name(self._disposition)
        if self.client_name is None:
            raise InvalidRequest.of(FIELD, 'must be sent as a file; with curl write "@" before its name')

    def _on_end(self) -> None:
        self.is_whole = True


async def receive(request: Request, arrivals: Arrivals, threads: Threads, *, replace: bool) -> Path:
    """The path of the LoRA that came with the body, checked and named. Nothing stays on disk where this raises.

    Raises UnsupportedMediaType, MalformedBody, and what Arrivals raises.
    """
    file = _OneFile()
    with _names_what_is_wrong():
        parser = MultipartParser(_boundary(request), file.callbacks())
    told = request.headers.get("content-length", "")
    declared = int(told[:20]) if told.isascii() and told.isdigit() else 0
    await threads.call(arrivals.refuse_what_does_not_fit, max(0, declared - FRAME_BYTES))
    with ExitStack() as closing:
        arrival: Arrival | None = None
        async for chunk in request.stream():
            with _names_what_is_wrong():
                parser.write(chunk)
            if arrival is None and file.client_name is not None:
                arrival = closing.enter_context(await threads.call(arrivals.open, file.client_name, replace=replace))
            if arrival is not None and len(file.waiting) >= BLOCK:
                await threads.call(arrival.write, file.take())
        if arrival is None or not file.is_whole:
            raise MalformedBody("The multipart form ends before its last boundary.", hint="Send it again, whole.")
        await threads.call(arrival.write, file.take())
        return await threads.call(arrival.finish)


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind.lower() != b"multipart/form-data" or not options.get(b"boundary"):
        raise UnsupportedMediaType("A LoRA is sent as a multipart form.", hint=_CURE)
    return options[b"boundary"]


@contextmanager
def _names_what_is_wrong() -> Iterator[None]:
    """What the parser raises, of a boundary that is too long too, becomes MalformedBody."""
    try:
        yield
    except FormParserError as error:
        raise MalformedBody("The multipart form is not well made.", hint="Let your client build it.") from error

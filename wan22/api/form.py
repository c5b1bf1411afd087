"""Takes a multipart body apart: text fields, and pictures sent as files. Keeps nothing on disk, and no file name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # exists for type checkers only

from wan22.api.disposition import file_name
from wan22.api.jsontext import check_strings, parse
from wan22.errors import BodyTooLarge, InvalidRequest, MalformedBody

PICTURES = ("image", "last_image")
MAX_PARTS = 64
MEANT_EMPTY = ("prompt", "negative_prompt")
"""Text fields that may be empty on purpose; a page's form sends any other empty field only because it is there."""


@dataclass
class _Part:
    headers: dict[str, str] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)


class _Parts:
    """Gathers what the parser calls out; it hands over slices of the buffer that it was given."""

    def __init__(self) -> None:
        self.found: list[_Part] = []
        self.whole = False
        self._name = bytearray()
        self._value = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        """What the parser calls."""
        return {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        if len(self.found) == MAX_PARTS:
            raise MalformedBody(f"The form has more than {MAX_PARTS} parts.", hint="Leave out what is not needed.")
        self.found.append(_Part())

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.found[-1].data += data[start:end]

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self.found[-1].headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name, self._value = bytearray(), bytearray()

    def _on_end(self) -> None:
        self.whole = True


def parse_form(raw: bytes, content_type: str, *, max_text_bytes: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The text fields and the pictures of a multipart body.

    Raises MalformedBody, BodyTooLarge if the text is over `max_text_bytes`, InvalidRequest naming a part that is wrong.
    """
    fields: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for part in _split(raw, content_type):
        name, is_file = _name_of(part)
        if name in fields or name in files:
            raise InvalidRequest.of(name, "is there twice; send it once")
        if is_file:
            files |= _picture(name, part)
        else:
            fields |= _text(name, part)
    _check_size(fields, max_text_bytes)
    check_strings(fields)
    if "metadata" in fields:
        fields["metadata"] = _json("metadata", fields["metadata"], "a JSON object")
    if fields.get("loras", "").lstrip().startswith(("[", "{")):  # else it is a name
        fields["loras"] = _json("loras", f'{{"loras": {fields["loras"]}}}', "a name or a JSON list")["loras"]
    return fields, files


def _split(raw: bytes, content_type: str) -> list[_Part]:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise MalformedBody(
            "The Content-Type names no boundary, so the form can't be taken apart.",
            hint="Let your client set Content-Type itself (curl: -F; browsers: FormData).",
        )
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(raw)
    except FormParserError as error:
        raise MalformedBody("The multipart form is not well made.", hint="Let your client build it.") from error
    if not parts.whole:
        raise MalformedBody("The multipart form ends before its last boundary.", hint="Send it again, whole.")
    return parts.found


def _name_of(part: _Part) -> tuple[str, bool]:
    """The part's field name, and whether it was sent as a file."""
    disposition = part.headers.get("content-disposition", "")
    try:
        name = parse_options_header(disposition)[1][b"name"].decode()
    except (KeyError, UnicodeDecodeError) as error:
        raise MalformedBody("A part of the form has no name.", hint="Give each part its field's name.") from error
    return name, file_name(disposition) is not None


def _picture(name: str, part: _Part) -> dict[str, bytes]:
    if name not in PICTURES:
        raise InvalidRequest.of(name, "takes no file; pictures go into the parts image and last_image")
    return {name: bytes(part.data)} if part.data else {}


def _text(name: str, part: _Part) -> dict[str, str]:
    try:
        return {name: part.data.decode()} if part.data or name in MEANT_EMPTY else {}
    except UnicodeDecodeError as error:
        cure = f"send it as UTF-8; with curl put the text into a UTF-8 file and use -F {name}=<file.txt"
        raise InvalidRequest.of(name, f"is not UTF-8; {cure}") from error


def _check_size(fields: dict[str, Any], limit: int) -> None:
    size = sum(len(value) for name, value in fields.items() if name not in PICTURES)
    if size > limit:
        raise BodyTooLarge(f"The form's text is over {limit:,} bytes.", hint="Shorten the fields.")


def _json(name: str, text: str, kind: str) -> dict[str, Any]:
    try:
        return parse(text)
    except MalformedBody as error:
        raise InvalidRequest.of(name, f"must be {kind}: {error.detail}", text) from error

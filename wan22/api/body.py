"""Reads the body of a submit call, within its size limits, and hands it to the parser of its kind.

The framework's own reading is left out on purpose: it answers real clients' mistakes without a cure, and some with 500.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from wan22.api.form import parse_form
from wan22.api.jsontext import decode, parse
from wan22.api.mistakes import VIDEO, hint_for_type, not_read_here
from wan22.api.threads import Threads
from wan22.errors import BodyTooLarge, UnsupportedMediaType
from wan22.settings import ServerSettings

_JSON_TYPE = re.compile(r"application/(?:[^/]+\+)?json")
_BEFORE_JSON = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"  # byte order marks and white space
_PICTURE_KEY = re.compile(rb'"(?:last_)?image"\s*:')
_PICTURE_VALUE = re.compile(r'"(?:last_)?image"\s*:\s*"([^"]*)"')


@dataclass(frozen=True)
class Body:
    """What was sent: fields as JSON values (from a form: as text), and pictures sent as files, by field."""

    fields: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)


async def read_body(request: Request, settings: ServerSettings, threads: Threads, *, example: str = VIDEO) -> Body:
    """The body of `request`, parsed but not yet checked field by field. `example` is shown to whom sends no object.

    Raises UnsupportedMediaType, BodyTooLarge, MalformedBody, InvalidRequest.
    """
    content_type = request.headers.get("content-type", "")
    named, options = parse_options_header(content_type)
    kind = named.decode("latin-1").strip().lower()
    if kind == "multipart/form-data":
        raw = await _read(request, settings, grown=True)
        fields, files = await threads.heavy(parse_form, raw, content_type, max_text_bytes=settings.max_body_bytes)
        return Body(fields, files)
    raw = await _read(request, settings, grown=False)
    _check_kind(request, kind, raw)
    charset = options.get(b"charset", b"").decode("latin-1") or None
    cross = threads.heavy if len(raw) > settings.max_body_bytes else threads.call
    return Body(await cross(_parse_json, raw, charset, settings.max_body_bytes, example))


async def _read(request: Request, settings: ServerSettings, *, grown: bool) -> bytes:
    """All bytes of the body. Stops as soon as it is over its limit: the large one counts once a picture is in it."""
    limit = settings.max_image_body_bytes if grown else settings.max_body_bytes
    if _declared_bytes(request) > settings.max_image_body_bytes:
        raise _too_large(settings)
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > limit and not grown and _PICTURE_KEY.search(read.replace(b"\0", b"")):
            limit, grown = settings.max_image_body_bytes, True
        if len(read) > limit:
            raise _too_large(settings)
    return bytes(read)


def _declared_bytes(request: Request) -> int:
    text = request.headers.get("content-length", "")
    return int(text[:20]) if text.isascii() and text.isdigit() else 0


def _too_large(settings: ServerSettings) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is over the limit of {settings.max_body_bytes:,} bytes, or {settings.max_image_body_bytes:,} "
        "with a picture.",
        hint="Send a smaller picture, or change server.max_body_bytes and server.max_image_body_bytes.",
    )


def _check_kind(request: Request, kind: str, raw: bytes) -> None:
    """Raise UnsupportedMediaType unless the body says that it is JSON, or says nothing and looks like it."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaType(f"Bodies in the encoding {encoding!r} are not read.", hint="Send it uncompressed.")
    looks_right = raw.lstrip(_BEFORE_JSON)[:1] in (b"{", b"")
    if _JSON_TYPE.fullmatch(kind) or (not kind and looks_right):
        return
    raise UnsupportedMediaType(not_read_here(kind), hint=hint_for_type(kind, raw[:1_000]))


def _parse_json(raw: bytes, charset: str | None, max_text_bytes: int, example: str) -> dict[str, Any]:
    text = decode(raw, charset)
    if len(raw) > max_text_bytes:
        rest = len(text) - sum(len(found[1]) for found in _PICTURE_VALUE.finditer(text))
        if rest > max_text_bytes:
            raise BodyTooLarge(
                f"Without its pictures the body is over {max_text_bytes:,} bytes.", hint="Shorten the other fields."
            )
    return parse(text, example)

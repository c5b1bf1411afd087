"""Bodies are read within their limits, JSON and forms alike, and give the same fields either way."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import Request

from wan22.api.body import Body, read_body
from wan22.api.threads import Threads
from wan22.errors import BodyTooLarge, InvalidRequest, MalformedBody, UnsupportedMediaType
from wan22.settings import ServerSettings

LIMITS = ServerSettings(max_body_bytes=1_000, max_image_body_bytes=20_000)
PIXELS = base64.b64encode(b"x" * 9_000).decode()


def read(chunks: Iterator[bytes] | list[bytes], limits: ServerSettings = LIMITS, **headers: str) -> Body:
    """The body of a request that arrives in these chunks."""
    arriving = iter(chunks)

    async def receive() -> dict[str, Any]:
        chunk = next(arriving, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)
    return asyncio.run(read_body(request, limits, Threads()))


def read_json(value: Any, **headers: str) -> Body:
    raw = json.dumps(value).encode()
    return read([raw[:100], raw[100:]], content_type="application/json", **headers)


def form(*parts: tuple[str, bytes, str | None], boundary: str = "line") -> bytes:
    """A multipart body: name, content, and file name or None for each part."""
    lines = b""
    for name, content, file_name in parts:
        named = f'; filename="{file_name}"' if file_name is not None else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        lines += head.encode() + content + b"\r\n"
    return lines + f"--{boundary}--\r\n".encode()


def read_form(*parts: tuple[str, bytes, str | None]) -> Body:
    return read([form(*parts)], content_type="multipart/form-data; boundary=line")


def test_json_comes_in_chunks() -> None:
    assert read_json({"prompt": "x" * 500}).fields == {"prompt": "x" * 500}


def test_a_body_without_a_picture_has_the_small_limit() -> None:
    with pytest.raises(BodyTooLarge, match="1,000 bytes"):
        read_json({"prompt": "x" * 1_000})


@pytest.mark.parametrize("name", ["image", "last_image"])
def test_a_picture_in_json_raises_the_limit(name: str) -> None:
    assert read_json({name: PIXELS, "prompt": "a cat"}).fields[name] == PIXELS
    with pytest.raises(BodyTooLarge):
        read_json({name: PIXELS * 3})


def test_the_picture_does_not_raise_the_limit_for_the_rest() -> None:
    with pytest.raises(BodyTooLarge, match="Without its pictures"):
        read_json({"image": "x", "metadata": {"a": PIXELS}})


def test_a_picture_in_utf16_raises_the_limit_too() -> None:
    raw = json.dumps({"image": PIXELS[:8_000]}).encode("utf-16")
    assert read([raw], content_type="application/json").fields["image"] == PIXELS[:8_000]


def test_reading_stops_at_the_limit() -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield b'{"prompt": "' + b"x" * 500

    with pytest.raises(BodyTooLarge):
        read(endless(), content_type="application/json")
    with pytest.raises(BodyTooLarge):
        read(endless(), content_type="multipart/form-data; boundary=x")
    assert len(taken) < 60


def test_a_length_over_the_limit_is_refused_unread() -> None:
    def unread() -> Iterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    for length in ("20001", "9" * 50):
        with pytest.raises(BodyTooLarge):
            read(unread(), content_type="application/json", content_length=length)


def test_a_form_gives_text_fields_and_files() -> None:
    body = read_form(("prompt", "ein Fuß".encode(), None), ("steps", b"4", None), ("image", b"\x89PNG", "C:\\cat.png"))
    assert body == Body({"prompt": "ein Fuß", "steps": "4"}, {"image": b"\x89PNG"})
    raw = form(("steps", b"4", None))
    assert read([raw], content_type='Multipart/Form-Data; charset=utf-8; boundary="line"').fields == {"steps": "4"}


def test_a_picture_whose_name_comes_in_the_extended_form_is_a_file() -> None:
    head = b"--line\r\nContent-Disposition: form-data; name=image; filename*=utf-8''Gem%C3%A4lde.png\r\n\r\n"
    body = read([head + b"\x89PNG\r\n--line--\r\n"], content_type="multipart/form-data; boundary=line")
    assert body == Body({}, {"image": b"\x89PNG"})


def test_what_a_pages_form_leaves_empty_is_left_out() -> None:
    body = read_form(
        ("prompt", b"a cat", None), ("negative_prompt", b"", None), ("seed", b"", None), ("image", b"", "")
    )
    assert body == Body({"prompt": "a cat", "negative_prompt": ""}, {})


def test_a_picture_may_be_text_in_a_form() -> None:
    assert read_form(("image", PIXELS.encode(), None)).fields == {"image": PIXELS}


def test_metadata_in_a_form_is_json() -> None:
    assert read_form(("metadata", b'{"a": [1]}', None)).fields == {"metadata": {"a": [1]}}
    with pytest.raises(InvalidRequest, match="metadata: must be a JSON object"):
        read_form(("metadata", b"cats", None))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([("image", b"a", "a.png"), ("image", b"b", "b.png")], "image: is there twice"),
        ([("prompt", b"a", None), ("prompt", b"b", None)], "prompt: is there twice"),
        ([("image", b"a", "a.png"), ("image", b"b", None)], "image: is there twice"),
        ([("prompt", b"a", "prompt.txt")], "prompt: takes no file"),
        ([("video", b"", "a.mp4")], "video: takes no file"),
        ([("prompt", b"\xff\xfe", None)], "prompt: is not UTF-8"),
    ],
)
def test_a_wrong_part_is_named(parts: list[tuple[str, bytes, str | None]], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        read_form(*parts)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"--line",
        form(("prompt", b"a cat", None))[:-8],
        form(("prompt", b"a cat", None), boundary="other"),
        b"--line\r\nContent-Disposition: form-data\r\n\r\nx\r\n--line--\r\n",
        b"--line\r\n\r\nx\r\n--line--\r\n",
        b"--line\r\nContent-Dis\0position: x\r\n\r\nx\r\n--line--\r\n",
        form(*[(f"f{n}", b"x", None) for n in range(70)]),
        form(("prompt", b"a\0cat", None)),
        form(("a\0", b"x", None)),
    ],
)
def test_a_form_that_is_not_whole_or_not_sane_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedBody) as caught:
        read([raw], content_type="multipart/form-data; boundary=line")
    assert caught.value.hint


def test_the_text_of_a_form_has_the_small_limit() -> None:
    with pytest.raises(BodyTooLarge, match="text"):
        read_form(("prompt", b"x" * 1_001, None))


@pytest.mark.parametrize("boundary", ["", "boundary=", "boundary=" + "x" * 500, 'boundary="'])
def test_a_boundary_that_is_none_is_refused(boundary: str) -> None:
    with pytest.raises(MalformedBody):
        read([form(("prompt", b"x", None))], content_type=f"multipart/form-data; {boundary}")


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "*/*", "json", "application"])
def test_other_types_are_not_read(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType) as caught:
        read([b'{"prompt": "a cat"}'], content_type=content_type)
    assert "json" in caught.value.hint

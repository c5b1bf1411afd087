"""Sends a file over HTTP: ranges, conditional requests, HEAD. Knows nothing of tasks.

After RFC 9110: one range is served; a list of ranges, or a malformed one, is answered with the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from wan22.api.threads import Threads
from wan22.errors import NotFound

CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})[ \t]*-[ \t]*([0-9]{0,18})[ \t]*", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """A file that is there, and what to say of it. `etag` is strong: it changes with the content."""

    path: Path
    media_type: str
    file_name: str
    etag: str


async def send_file(request: Request, found: Found, threads: Threads, *, attachment: bool = False) -> Response:
    """The answer to GET or HEAD for one file. Raises NotFound if it has gone meanwhile."""
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",  # kept by the browser, but asked for each time: the task may be deleted
        "Content-Disposition": f'{"attachment" if attachment else "inline"}; filename="{found.file_name}"',
        "ETag": f'"{found.etag}"',
    }
    if is_unchanged(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    file, size = await threads.call(_open, found.path)
    try:
        wanted = _wanted(request, size, headers["ETag"])
    except HTTPException:
        file.close()
        raise
    start, end = wanted or (0, size)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers |= {"Content-Length": str(end - start), "Content-Type": found.media_type}
    return FileSlice(file, start, end - start, threads=threads, headers=headers, status=206 if wanted else 200)


class FileSlice(Response):
    """`length` bytes of an open file from `start` on, read in a thread chunk by chunk; closes the file."""

    def __init__(
        self, file: BinaryIO, start: int, length: int, *, threads: Threads, headers: Mapping[str, str], status: int
    ) -> None:
        super().__init__(status_code=status, headers=headers)
        self._file, self._start, self._left, self._threads = file, start, length, threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head and body; to HEAD, the head alone."""
        with self._file as file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await self._threads.call(file.seek, self._start)
                while chunk := await self._threads.call(file.read, min(CHUNK_BYTES, self._left)):
                    self._left -= len(chunk)
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _open(path: Path) -> tuple[BinaryIO, int]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise NotFound("The file is no longer there.", hint="The task may have been deleted just now.") from error
    return file, path.stat().st_size


def is_unchanged(request: Request, etag: str) -> bool:
    """Whether the caller has the content of this strong ETag, quotes included, already (If-None-Match)."""
    sent = request.headers.get("if-none-match", "")
    known = {tag.strip().removeprefix("W/") for tag in sent.split(",")}
    return sent.strip() == "*" or etag in known


def _wanted(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """First byte and the one after the last; None for the whole file. Raises a 416 for a range beyond the end."""
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or _means_nothing(found[1], found[2]) or request.headers.get("if-range", etag).strip() != etag:
        return None
    if found[1]:
        start, end = int(found[1]), int(found[2]) + 1 if found[2] else size
    else:
        start, end = max(0, size - int(found[2])), size
    if start >= min(end, size):
        raise HTTPException(416, headers={"Content-Range": f"bytes */{size}"})
    return start, min(end, size)


def _means_nothing(first: str, last: str) -> bool:
    """A range without bounds, or one that ends before it begins: RFC 9110 has it ignored."""
    return not (first or last) or bool(first and last and int(last) < int(first))

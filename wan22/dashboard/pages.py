"""Serves the page and its files from memory. Gives out no data: the page asks the public API like any other client.

What browsers may do with the page is set by the API's guard.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from wan22.api import manual
from wan22.api.sending import is_unchanged
from wan22.errors import NotFound

STATIC = Path(__file__).parent / "static"
PAGE = "/api/v1/dashboard/html"
FILES = "/api/v1/dashboard/static"

# Our own table: another program may have changed the system's, on Windows above all, and a script that is called
# text/plain does not run.
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class StaticFile:
    """A file that ships with the package."""

    content: bytes
    media_type: str
    etag: str


def static_files() -> dict[str, StaticFile]:
    """Every file of the page, by name; what is not in here can't be asked for."""
    return {path.name: _read(path) for path in STATIC.iterdir() if path.suffix in MEDIA_TYPES}


def add_pages(app: FastAPI) -> None:
    """Add the page, the way to it from `/`, and its files."""
    files = static_files()
    router = APIRouter(tags=["dashboard"])

    @router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def go_to_page() -> RedirectResponse:
        return RedirectResponse(PAGE)

    @router.head(PAGE, include_in_schema=False)
    @router.get(PAGE, summary="The page to generate from", response_class=HTMLResponse, responses=manual.page())
    async def page(request: Request) -> Response:
        """One HTML page that shows the tasks live and submits new ones, over the public API."""
        return _answer(files["index.html"], request)

    @router.api_route(f"{FILES}/{{name}}", methods=["GET", "HEAD"], include_in_schema=False)
    async def static_file(name: str, request: Request) -> Response:
        if name not in files:
            raise NotFound("The page has no such file.", hint=f"The page is at {PAGE}.")
        return _answer(files[name], request)

    app.include_router(router)


def _answer(file: StaticFile, request: Request) -> Response:
    headers = {
        "ETag": file.etag,
        "Cache-Control": "no-cache",  # asked for again each time, and answered with 304 until the package changes
    }
    if is_unchanged(request, file.etag):
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    return StaticFile(content, MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')

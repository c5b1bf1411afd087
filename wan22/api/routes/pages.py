"""Swagger UI and ReDoc, from files that are here: no other host is asked for anything."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

ASSETS = {
    "docs.js": ("wan22.api", "text/javascript; charset=utf-8"),
    "swagger-ui-bundle.js": ("fastapi_offline", "text/javascript; charset=utf-8"),
    "swagger-ui.css": ("fastapi_offline", "text/css; charset=utf-8"),
    "redoc.standalone.js": ("fastapi_offline", "text/javascript; charset=utf-8"),
}
"""Package and media type of each file; no other name is served."""

OUTSIDE_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
"""ReDoc would show it; our policy blocks it, and so that no browser even complains it is taken out."""


@cache
def _content(package: str, name: str) -> bytes:
    return (files(package) / "static" / name).read_bytes().replace(OUTSIDE_LOGO, b"data:,")


@router.get("/docs")
async def docs() -> Response:
    """Swagger UI."""
    return _page("docs.html")


@router.get("/redoc")
async def redoc() -> Response:
    """ReDoc."""
    return _page("redoc.html")


@router.get("/docs/assets/{name}")
async def asset(name: str) -> Response:
    """One of the files that the two pages load."""
    if name not in ASSETS:
        raise HTTPException(404)
    package, media_type = ASSETS[name]
    return Response(_content(package, name), media_type=media_type, headers={"Cache-Control": "max-age=3600"})


def _page(name: str) -> Response:
    return Response(_content("wan22.api", name), media_type="text/html; charset=utf-8")

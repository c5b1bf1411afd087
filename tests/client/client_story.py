"""A small stand-in for the server, on a real socket: it tells one task's story and remembers what it was asked."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

VIDEO = b"\0\0\0\x20ftypisom and then some" * 1000
STARTED = {"phase": "denoise", "progress": 0.25, "step": 1, "total_steps": 4}


HANG = {"id": 0, "type": "hang"}


def problem(status: int, code: str, **more: Any) -> JSONResponse:
    body = {"code": code, "status": status, "title": code, "detail": f"It is {code}.", "hint": "Do better.", **more}
    return JSONResponse(body, status, media_type="application/problem+json")


def lost() -> Response:
    """An answer that breaks off: the server cuts the connection when less comes than it announced."""
    return Response(b"short", headers={"content-length": "1000"})


@dataclass
class Story:
    """What the server does next, and what it was asked so far."""

    status: str = "completed"
    streams: list[list[dict[str, Any] | None]] = field(default_factory=list)  # one list for each connection
    event_answer: Response | None = None
    sha256: str = hashlib.sha256(VIDEO).hexdigest()
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    resumed_from: list[str | None] = field(default_factory=list)
    first: list[Response] = field(default_factory=list)  # answers to the next calls, streams apart
    url: str = ""

    def task(self) -> dict[str, Any]:
        output = {
            "index": 0, "url": "/api/v1/generation/t1/outputs/0", "format": "mp4", "width": 64, "height": 64,
            "num_frames": 5, "fps": 8, "duration_s": 0.625, "size_bytes": len(VIDEO), "sha256": self.sha256, "seed": 7,
        }  # fmt: skip
        error = {"code": "out_of_memory", "title": "Out of memory", "detail": "No room.", "hint": "Smaller."}
        return {
            "task_id": "t1", "status": self.status, "model_type": "T2V-A14B", "created_at": "2026-01-01T00:00:00Z",
            "outputs": [output] if self.status == "completed" else [],
            "error": error if self.status == "failed" else None, "a_field_of_tomorrow": 1,
        }  # fmt: skip

    async def answer(self, request: Request) -> Response:
        self.asked.append((request.method, request.url.path))
        self.headers.append(dict(request.headers))
        if request.url.path.endswith("/events"):
            return self.event_answer or self._stream(request)
        if "multipart" in request.headers.get("content-type", ""):
            form = await request.form()
            self.bodies.append({n: v if isinstance(v, str) else await v.read() for n, v in form.items()})
        elif body := await request.body():
            self.bodies.append(json.loads(body))
        if self.first:
            return self.first.pop(0)
        return self._answer(request)

    def _answer(self, request: Request) -> Response:
        path = request.url.path
        if path == "/health":
            return JSONResponse({"status": "ok", "service": "wan22"})
        if path.endswith("/outputs/0"):
            return Response(VIDEO, media_type="video/mp4")
        if path == "/api/v1/generation":
            return JSONResponse({"tasks": [self.task()], "next_cursor": "more"})
        if request.method == "DELETE":
            return Response(status_code=204)
        return JSONResponse(self.task(), 202 if request.method == "POST" else 200)

    def _stream(self, request: Request) -> Response:
        self.resumed_from.append(request.headers.get("last-event-id"))
        return StreamingResponse(self._lines(self.streams.pop(0)), media_type="text/event-stream")

    async def _lines(self, events: list[dict[str, Any] | None]) -> AsyncIterator[str]:
        for event in events:
            if event is None or event == HANG:
                yield ": ping\n\n"
            else:
                yield f"id: {event['id']}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n"
            if event == HANG:
                await asyncio.sleep(60)


def event(number: int, kind: str, **data: Any) -> dict[str, Any]:
    return {"id": number, "type": kind, "task_id": "t1", "at": "2026-01-01T00:00:00Z", "data": data}

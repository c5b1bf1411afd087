"""The one middleware in front of every route, HTTP and WebSocket: asks `trust`, then sets the headers that protect.

It sees the path that is routed (`scope["path"]`), never a URL put together from headers.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wan22.api import policies
from wan22.api.problems import answer
from wan22.api.trust import WEBSOCKET, Caller, Trust
from wan22.errors import Forbidden, Unauthorized

EXPOSED = "Content-Disposition, Content-Range, ETag, Idempotent-Replayed, Link, Location, Retry-After"
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Range, X-API-Key"
    ),
    "Access-Control-Max-Age": "600",
}
POLICY_VIOLATION = 1008  # RFC 6455
ALWAYS = {"X-Content-Type-Options": "nosniff"}
ONE_OF = ("host", "origin", "authorization", "x-api-key", "sec-fetch-site")


class Guard:
    """Refuses a call before any route, body or WebSocket handshake is looked at."""

    def __init__(self, app: ASGIApp, trust: Trust) -> None:
        self._app = app
        self._trust = trust

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, or answer it with a problem."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        caller = _caller(scope, headers)
        cors = _cors(caller.origin) if self._trust.shares_with(caller.origin) else {}
        scope["wan22.headers"] = {**ALWAYS, **cors}  # for the one answer that is not sent through here
        protected = _protected(send, cors, path=caller.path)
        preflight = caller.method == "OPTIONS" and "access-control-request-method" in headers
        try:
            _check_single(headers)
            self._trust.check_place(caller)
            if not preflight:  # browsers send it without the key
                self._trust.check_key(caller)
        except (Forbidden, Unauthorized) as refusal:
            await _refuse(refusal, caller, scope, receive=receive, send=protected)
            return
        inner = Response(status_code=204, headers=PREFLIGHT) if preflight else self._app
        await inner(scope, receive, protected)


def _protected(send: Send, cors: Mapping[str, str], *, path: str) -> Send:
    """`send` that adds the headers every answer has."""

    async def protected(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            headers.update(cors)
            _protect(headers, path)
            message = {**message, "headers": headers.raw}
        await send(message)

    return protected


def _caller(scope: Scope, headers: Headers) -> Caller:
    return Caller(
        method=WEBSOCKET if scope["type"] == "websocket" else scope["method"].upper(),
        path=scope["path"],
        scheme="https" if scope["scheme"] in ("https", "wss") else "http",
        host=headers.get("host"),
        origin=headers.get("origin"),
        site=headers.get("sec-fetch-site"),
        mode=headers.get("sec-fetch-mode"),
        dest=headers.get("sec-fetch-dest"),
        authorization=headers.get("authorization"),
        api_key=headers.get("x-api-key"),
    )


def _check_single(headers: Headers) -> None:
    """Two of one header could be read differently here and further in."""
    for name in ONE_OF:
        if len(headers.getlist(name)) > 1:
            raise Forbidden(f"The header {name} is there twice.", hint="Send it once.")


def _cors(origin: str | None) -> dict[str, str]:
    """Headers that let pages of one exact origin read the answer; cookies play no part in this API."""
    return {
        "Access-Control-Allow-Origin": origin or "",
        "Access-Control-Expose-Headers": EXPOSED,
    }


async def _refuse(
    refusal: Forbidden | Unauthorized, caller: Caller, scope: Scope, *, receive: Receive, send: Send
) -> None:
    """A problem. No WebSocket gets one in place of its handshake: uvicorn would log an error for each. A foreign page's
    is refused barely; that of a client without the key is told after the handshake, which shows no event yet.
    """
    if scope["type"] == "websocket":
        if isinstance(refusal, Unauthorized):
            await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": _reason(refusal)})
        return
    response = answer(refusal, caller.path)
    if isinstance(refusal, Unauthorized) and caller.mode == "navigate":
        response.headers.append("WWW-Authenticate", 'Basic realm="wan22", charset="UTF-8"')
    await response(scope, receive, send)


def _reason(refusal: Forbidden | Unauthorized) -> str:
    """Our own words only, since a reason has room for 123 bytes."""
    return f"{refusal.title}: {refusal.default_hint}"[:120]


def _protect(headers: MutableHeaders, path: str) -> None:
    kind = headers.get("content-type", "")
    headers.update(ALWAYS)
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.add_vary_header("Origin")
    if kind in ("application/json", "application/problem+json"):
        headers["content-type"] = f"{kind}; charset=utf-8"  # else Windows PowerShell 5.1 reads it as Latin-1
    if "json" in kind:
        headers.setdefault("Cache-Control", "no-store")
    if kind.startswith("text/html"):
        headers.setdefault("Content-Security-Policy", policies.BY_PATH.get(path, policies.PAGE))
        headers.setdefault("X-Frame-Options", "DENY")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        headers.setdefault("Cache-Control", "no-cache")

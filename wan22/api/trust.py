"""Decides whom the server answers: by Host, Origin, Sec-Fetch headers and API key. Pure; the guard puts it to work.

The attacks behind each rule: a web page that posts to 127.0.0.1 (Origin, Sec-Fetch-Site), a host name that an
attacker points at 127.0.0.1 (Host), a page that opens a WebSocket (the same rules there). Everything is compared
whole and default is no: nothing here looks at the start of a string.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from wan22.errors import ConfigurationError, Forbidden, Unauthorized
from wan22.settings import LOOPBACK_HOSTS, ServerSettings

WEBSOCKET = "WEBSOCKET"
PAGES = frozenset({"/", "/docs", "/redoc", "/api/v1/dashboard/html"})
"""HTML pages that a link on another site may lead to."""

OPEN_PATHS = frozenset({"/health"})
"""Answered without an API key: a supervisor must be able to ask whether the process lives, and learns no more."""

ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - told apart, not listened on
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"(https?)://(.+)", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Caller:
    """What a request says about itself and where it comes from; None for a header that is not there."""

    method: str  # upper case; WEBSOCKET for a handshake
    path: str
    scheme: str  # http or https
    host: str | None = None
    origin: str | None = None
    site: str | None = None  # Sec-Fetch-Site
    mode: str | None = None  # Sec-Fetch-Mode
    dest: str | None = None  # Sec-Fetch-Dest
    authorization: str | None = None
    api_key: str | None = None  # X-API-Key


@dataclass(frozen=True)
class Trust:
    """The rules of one server."""

    hosts: frozenset[str]
    origins: frozenset[str]
    api_key: str | None
    takes_addresses: bool = False
    """Whether any IP address will do as Host: one written in numbers can't be pointed elsewhere, as a name can."""

    @classmethod
    def of(cls, settings: ServerSettings) -> Trust:
        """Rules from settings. Raises ConfigurationError for a name or an origin that can't be meant.

        A server that listens on every address of its machine is called by each of them; it must ask for a key then.
        """
        listening = () if settings.host in ANY_ADDRESS else (settings.host,)
        key = settings.api_key.get_secret_value() if settings.api_key else None
        return cls(
            hosts=frozenset(map(_host_name, (*LOOPBACK_HOSTS, *listening, *settings.allowed_hosts))),
            origins=frozenset(map(_exact_origin, settings.allowed_origins)),
            api_key=key,
            takes_addresses=settings.host in ANY_ADDRESS and key is not None,
        )

    def check_place(self, caller: Caller) -> None:
        """Raise Forbidden unless the call was sent to one of our names, and by no foreign page."""
        self._check_host(caller)
        self._check_origin(caller)
        self._check_site(caller)

    def check_key(self, caller: Caller) -> None:
        """Raise Unauthorized unless the caller has the API key, or needs none."""
        if self.api_key is None or caller.path in OPEN_PATHS:
            return
        expected = self.api_key.encode()
        if not any(hmac.compare_digest(key, expected) for key in _given_keys(caller)):
            sent = caller.authorization is not None or caller.api_key is not None
            raise Unauthorized("The API key is wrong." if sent else "This server needs an API key.")

    def shares_with(self, origin: str | None) -> bool:
        """Whether pages of `origin` may read answers across origins (CORS)."""
        return origin is not None and origin.lower() in self.origins

    def _check_host(self, caller: Caller) -> None:
        found = _HOST.fullmatch(caller.host or "")
        if found is None or not self._is_ours(found[1]):
            raise Forbidden(
                f"The server does not answer to the name {caller.host or '(none)'!r}.",
                hint="Call it by http://127.0.0.1 and its port, or add the name to the setting server.allowed_hosts.",
            )

    def _is_ours(self, host: str) -> bool:
        return _bare(host) in self.hosts or (self.takes_addresses and _is_address(host))

    def _check_origin(self, caller: Caller) -> None:
        if caller.origin is None or self.shares_with(caller.origin) or _same_origin(caller):
            return
        raise Forbidden(
            f"Pages of {caller.origin!r} may not call this server.",
            hint="If that page is yours, add its exact origin to the setting server.allowed_origins.",
        )

    def _check_site(self, caller: Caller) -> None:
        """Browsers say in Sec-Fetch-Site whose page is calling; other clients send nothing."""
        if caller.site in (None, "same-origin", "none") or self.shares_with(caller.origin):
            return
        followed_link = caller.mode == "navigate" and caller.dest == "document"
        if caller.method in ("GET", "HEAD") and followed_link and caller.path in PAGES:
            return
        raise Forbidden(
            "A page of another site may not call this server.",
            hint="Open the address yourself, or add the page's exact origin to the setting server.allowed_origins.",
        )


def _given_keys(caller: Caller) -> Iterable[bytes]:
    """Every key that the headers carry, as bytes: header text is Latin-1 on the wire."""
    if caller.api_key is not None:
        yield caller.api_key.encode("latin-1", "replace")
    kind, _, value = (caller.authorization or "").partition(" ")
    if kind.lower() == "bearer":
        yield value.strip().encode("latin-1", "replace")
    elif kind.lower() == "basic":
        try:
            pair = base64.b64decode(value.strip(), validate=True)
        except (binascii.Error, ValueError):
            return
        yield pair.partition(b":")[2]


def _bare(host: str) -> str:
    return host.strip("[]").lower()


def _is_address(host: str) -> bool:
    """Whether a Host without its port is an IP address that a machine can have, IPv6 in brackets."""
    try:
        address = ipaddress.ip_address(_bare(host))
    except ValueError:
        return False
    return (address.version == 6) == host.startswith("[") and not address.is_unspecified


def _host_name(name: str) -> str:
    """A configured host name as it is compared: without port and brackets."""
    found = _HOST.fullmatch(name) or _HOST.fullmatch(f"[{name}]")
    if found is None:
        raise ConfigurationError(
            f"server.allowed_hosts has {name!r}, which is no host name; write it as studio.example or 192.168.1.5."
        )
    return _bare(found[1])


def _exact_origin(origin: str) -> str:
    """A configured origin as browsers send it."""
    tidy = origin.strip().rstrip("/").lower()
    if tidy in ("", "*", "null") or "://" not in tidy or "/" in tidy.partition("://")[2]:
        raise ConfigurationError(
            f"server.allowed_origins has {origin!r}, which is no exact origin; write it as https://studio.example."
        )
    return tidy


def _same_origin(caller: Caller) -> bool:
    """Whether Origin is the very scheme, host and port that was called; the host is known to be ours by now."""
    found = _ORIGIN.fullmatch(caller.origin or "")
    if found is None or found[1].lower() != caller.scheme:
        return False
    return _endpoint(found[2], caller.scheme) == _endpoint(caller.host or "", caller.scheme) is not None


def _endpoint(host: str, scheme: str) -> tuple[str, int] | None:
    found = _HOST.fullmatch(host)
    return (_bare(found[1]), int(found[2] or _PORTS[scheme])) if found else None

"""Whom the server answers: the rules as a table, without HTTP."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from wan22.api.trust import PAGES, WEBSOCKET, Caller, Trust
from wan22.errors import ConfigurationError, Forbidden, Unauthorized
from wan22.settings import ServerSettings

TRUST = Trust.of(ServerSettings())
CURL = Caller("POST", "/api/v1/generation/submit", "http", host="127.0.0.1:8000")
KEYED = Trust.of(ServerSettings(api_key="s3cret-ключ"))
STUDIO = "https://studio.example"
SHARED = Trust.of(ServerSettings(allowed_origins=(STUDIO + "/",), allowed_hosts=("Wan.Local", "192.168.1.5:8000")))


def refused(trust: Trust, caller: Caller) -> bool:
    try:
        trust.check_place(caller)
    except Forbidden as refusal:
        return bool(refusal.hint)  # one without its cure does not count
    return False


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LOCALHOST", "[::1]", "[::1]:8000"])
def test_loopback_names_are_answered_on_any_port(host: str) -> None:
    assert not refused(TRUST, replace(CURL, host=host))


@pytest.mark.parametrize(
    "host",
    [
        *(None, "", " ", "evil.com", "127.0.0.1.evil.com", "evil.com:8000", "localhost.evil.com", "localhost."),
        *("localhost@evil.com", "evil.com@localhost", "127.1", "0.0.0.0", "2130706433", "[::]", "::1", "[::1", "::1]"),
        *("localhost:", "localhost:port", "localhost:8000:8000", "localhost:999999", "localhost/", "local host"),
        *("localhost\\evil", "127.0.0.1,evil.com", "[::ffff:127.0.0.1]", "xn--localhost", "ⅼocalhost"),
    ],
)
def test_any_other_name_is_refused(host: str | None) -> None:
    """A name that an attacker points at 127.0.0.1 makes our answers readable to his page."""
    assert refused(TRUST, replace(CURL, host=host))


def test_configured_names_are_answered_too() -> None:
    assert not refused(SHARED, replace(CURL, host="wan.local:8000"))
    assert not refused(SHARED, replace(CURL, host="192.168.1.5"))
    assert not refused(Trust.of(ServerSettings(host="10.0.0.7")), replace(CURL, host="10.0.0.7:80"))
    assert refused(Trust.of(ServerSettings(host="0.0.0.0")), replace(CURL, host="0.0.0.0:8000"))


OPEN = [Trust.of(ServerSettings(host=host, api_key="k")) for host in ("0.0.0.0", "::")]


@pytest.mark.parametrize("trust", OPEN)
@pytest.mark.parametrize("host", ["192.168.1.4:8000", "192.168.1.4", "127.0.0.1", "[fd00::4]:8000", "localhost"])
def test_a_server_on_every_address_is_called_by_any_of_them(trust: Trust, host: str) -> None:
    assert not refused(trust, replace(CURL, host=host))
    assert not refused(trust, replace(CURL, host=host, origin=f"http://{host}"))
    with pytest.raises(Unauthorized):
        trust.check_key(replace(CURL, host=host))


@pytest.mark.parametrize("trust", OPEN)
@pytest.mark.parametrize(
    "host", ["studio.example", "192.168.1.4.evil.com", "0.0.0.0", "[::]", "192.168.1", "3232235780"]
)
def test_a_name_is_still_refused_there(trust: Trust, host: str) -> None:
    """An attacker points a name of his own at our address; an address can't be pointed anywhere."""
    assert refused(trust, replace(CURL, host=host))


@pytest.mark.parametrize("trust", OPEN)
@pytest.mark.parametrize("origin", ["http://evil.com", "http://192.168.1.5:8000", "http://192.168.1.4", "null"])
def test_pages_of_other_addresses_may_not_call_there(trust: Trust, origin: str) -> None:
    assert refused(trust, replace(CURL, host="192.168.1.4:8000", origin=origin))


@pytest.mark.parametrize("host", ["fd00::4", "[192.168.1.4]", "192.168.1.4/", "0192.168.1.4"])
def test_an_address_is_written_as_in_a_url(host: str) -> None:
    assert all(refused(trust, replace(CURL, host=host)) for trust in OPEN)


def test_addresses_are_taken_only_there_and_only_with_a_key() -> None:
    for settings in ({"host": "127.0.0.1", "api_key": "k"}, {"host": "10.0.0.7", "api_key": "k"}, {"host": "0.0.0.0"}):
        assert refused(Trust.of(ServerSettings(**settings)), replace(CURL, host="192.168.1.4:8000"))


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("localhost", "http://localhost"),
        ("localhost", "http://LOCALHOST:80"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_our_own_pages_may_call(host: str, origin: str) -> None:
    assert not refused(TRUST, replace(CURL, host=host, origin=origin, site="same-origin"))


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH", "GET", "FOO", WEBSOCKET])
@pytest.mark.parametrize(
    "origin",
    [
        *("http://evil.com", "null", "", "http://127.0.0.1.evil.com", "http://127.0.0.1:8001", "http://127.0.0.1"),
        *("https://127.0.0.1:8000", "http://localhost:8000", "http://127.0.0.1:8000.evil.com", "127.0.0.1:8000"),
        *("http://127.0.0.1:8000/", "http://127.0.0.1:8000@evil.com", "file://", "ws://127.0.0.1:8000"),
    ],
)
def test_no_other_page_may_call(method: str, origin: str) -> None:
    assert refused(TRUST, replace(CURL, method=method, origin=origin))


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET", WEBSOCKET])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "new-value"])
def test_a_foreign_site_may_not_call_even_without_an_origin(method: str, site: str) -> None:
    assert refused(TRUST, replace(CURL, method=method, site=site))


@pytest.mark.parametrize("path", sorted(PAGES))
def test_a_link_on_another_site_may_lead_to_a_page(path: str) -> None:
    followed = Caller("GET", path, "http", host="localhost", site="cross-site", mode="navigate", dest="document")
    assert not refused(TRUST, followed)
    assert refused(TRUST, replace(followed, dest="iframe"))
    assert refused(TRUST, replace(followed, mode="no-cors"))
    assert refused(TRUST, replace(followed, method="POST"))


def test_a_link_on_another_site_may_not_lead_to_the_api() -> None:
    followed = Caller("GET", "/api/v1/generation", "http", host="localhost", site="cross-site", mode="navigate")
    assert refused(TRUST, replace(followed, dest="document"))


def test_a_configured_origin_may_call_though_it_is_another_site() -> None:
    page = replace(CURL, origin=STUDIO, site="cross-site")
    assert not refused(SHARED, page)
    assert refused(TRUST, page)
    assert refused(SHARED, replace(page, origin="https://studio.example:444"))
    assert refused(SHARED, replace(page, origin="http://studio.example"))
    assert refused(SHARED, replace(page, origin=None))


@pytest.mark.parametrize("origin", ["*", "null", "", "studio.example", "https://studio.example/page"])
def test_an_origin_that_is_not_exact_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="allowed_origins"):
        Trust.of(ServerSettings(allowed_origins=(origin,)))


@pytest.mark.parametrize("host", ["*", "http://wan.local", "a b", ""])
def test_a_host_that_is_no_name_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(ConfigurationError, match="allowed_hosts"):
        Trust.of(ServerSettings(allowed_hosts=(host,)))


def wire(text: str) -> str:
    """Header text as the server sees it: UTF-8 bytes read as Latin-1."""
    return text.encode().decode("latin-1")


BASIC = "Basic " + base64.b64encode("me:s3cret-ключ".encode()).decode()


@pytest.mark.parametrize(
    "sent",
    [
        {"authorization": wire("Bearer s3cret-ключ")},
        {"authorization": wire("bearer  s3cret-ключ ")},
        {"authorization": BASIC},
        {"api_key": wire("s3cret-ключ")},
        {"authorization": "Basic !", "api_key": wire("s3cret-ключ")},
    ],
)
def test_the_key_is_taken_from_three_headers(sent: dict[str, Any]) -> None:
    KEYED.check_key(replace(CURL, **sent))


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer "},
        {"authorization": "Bearer s3cret"},
        {"authorization": wire("s3cret-ключ")},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic " + base64.b64encode("s3cret-ключ".encode()).decode()},
        {"api_key": "wrong"},
        {"api_key": ""},
    ],
)
def test_without_the_key_nothing_is_answered(sent: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        KEYED.check_key(replace(CURL, **sent))
    TRUST.check_key(replace(CURL, **sent))  # a server without a key asks for none


def test_liveness_needs_no_key() -> None:
    KEYED.check_key(replace(CURL, path="/health"))
    with pytest.raises(Unauthorized):
        KEYED.check_key(replace(CURL, path="/health/"))

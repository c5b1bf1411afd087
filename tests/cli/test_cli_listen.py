"""Sockets: both loopback addresses, one port, and a sentence when it can't be had."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from wan22.cli.listen import bind, is_loopback, url_at, url_of
from wan22.errors import ConfigurationError

HAS_IPV6 = socket.has_ipv6 and bool(socket.getaddrinfo("::1", 0))


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def bound(closing: ExitStack, host: str, port: int = 0) -> list[socket.socket]:
    return [closing.enter_context(opened) for opened in bind(host, port)]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_usual_host_is_both_loopback_addresses(closing: ExitStack, host: str) -> None:
    sockets = bound(closing, host)
    assert [opened.getsockname()[0] for opened in sockets] == ["127.0.0.1", "::1"][: 1 + HAS_IPV6]
    assert len({opened.getsockname()[1] for opened in sockets}) == 1


def test_answers_are_sent_without_nagles_delay(closing: ExitStack) -> None:
    """asyncio sets TCP_NODELAY only on connections whose listening socket names its protocol."""
    assert {opened.proto for opened in bound(closing, "127.0.0.1")} == {socket.IPPROTO_TCP}


def test_another_host_is_itself_alone(closing: ExitStack) -> None:
    [only] = bound(closing, "127.0.0.2")
    assert only.getsockname()[0] == "127.0.0.2"


def test_without_ipv6_the_other_is_enough(closing: ExitStack) -> None:
    taken = closing.enter_context(socket.socket(socket.AF_INET6))
    taken.bind(("::1", 0))
    taken.listen()
    sockets = bound(closing, "127.0.0.1", taken.getsockname()[1])
    assert [opened.getsockname()[0] for opened in sockets] == ["127.0.0.1"]


def test_a_taken_port_is_told(closing: ExitStack) -> None:
    [first, *_] = bound(closing, "127.0.0.1")
    port = first.getsockname()[1]
    with pytest.raises(ConfigurationError, match=rf"Port {port} on 127\.0\.0\.1 is taken; .* --port"):
        bind("127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_told(host: str) -> None:
    with pytest.raises(ConfigurationError, match="--host"):
        bind(host, 0)


def test_the_port_is_free_again_at_once(closing: ExitStack) -> None:
    [first, *others] = bind("127.0.0.1", 0)
    port = first.getsockname()[1]
    caller = closing.enter_context(socket.create_connection(("127.0.0.1", port)))
    closing.enter_context(first.accept()[0])
    for opened in (first, *others):
        opened.close()
    assert bound(closing, "127.0.0.1", port)[0].getsockname()[1] == port != caller.getsockname()[1]


def test_urls(closing: ExitStack) -> None:
    assert url_at("127.0.0.1", 80) == url_at("0.0.0.0", 80) == url_at("::", 80) == "http://127.0.0.1:80"
    assert url_at("::1", 80) == "http://[::1]:80"
    [only] = bound(closing, "127.0.0.2")
    assert url_of(only) == f"http://127.0.0.2:{only.getsockname()[1]}"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "127.0.0.1.evil.example", "localhost.example"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)

"""What `serve` says: where it is reached, from here and from elsewhere."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from wan22.cli.banner import addresses, announcement
from wan22.cli.listen import bind


@pytest.fixture
def everywhere() -> Iterator[socket.socket]:
    [bound] = bind("0.0.0.0", 0)
    with closing(bound):
        yield bound


def test_on_loopback_nothing_is_said_of_others() -> None:
    sockets = bind("127.0.0.1", 0)
    lines = announcement(sockets, "/home")
    for bound in sockets:
        bound.close()
    assert "\n".join(lines).count("http://127.0.0.1:") == 3
    assert "elsewhere" not in "\n".join(lines)


def test_on_every_address_others_are_told_the_way(everywhere: socket.socket) -> None:
    told = "\n".join(announcement([everywhere], "/home"))
    assert "with the API key" in told
    assert "server.allowed_hosts" in told
    assert all(f"http://{address}:{everywhere.getsockname()[1]}/" in told for address in addresses("0.0.0.0"))
    assert "http://127.0.0.1:" in told, "for this machine"


@pytest.mark.parametrize(("host", "version"), [("0.0.0.0", 4), ("::", 6)])
def test_addresses_are_those_that_others_can_use(host: str, version: int) -> None:
    found = [ipaddress.ip_address(address) for address in addresses(host)]
    assert all(address.version == version and not address.is_loopback for address in found)


def test_one_address_is_itself() -> None:
    assert addresses("192.168.1.5") == ["192.168.1.5"]

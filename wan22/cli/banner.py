"""What `serve` says once it listens: its addresses on this machine, and the way in for other machines."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

import psutil

from wan22 import __version__
from wan22.cli.listen import is_loopback, url_at, url_of


def announcement(sockets: list[socket.socket], home: str) -> list[str]:
    """The lines to print."""
    url = url_of(sockets[0])
    others = ", ".join(url_of(bound) for bound in sockets[1:])
    return [
        f"WAN22 {__version__} listens on {url}" + (f" and {others}" if others else ""),
        f"  dashboard  {url}/",
        f"  API        {url}/docs",
        f"  home       {home}",
        *_from_elsewhere(*sockets[0].getsockname()[:2]),
        "Stop it with Ctrl+C.",
    ]


def _from_elsewhere(host: str, port: int) -> Iterator[str]:
    """For other machines: addresses and the API key; nothing where they can't reach the server."""
    if is_loopback(host):
        return
    urls = ", ".join(f"{url_at(address, port)}/" for address in addresses(host))
    yield f"  elsewhere  {urls or 'by an address of this machine'} with the API key"
    yield "             by a name only if server.allowed_hosts has it"


def addresses(host: str) -> list[str]:
    """The addresses of this machine at which others reach a server that listens on `host`; link-local ones apart."""
    listening = ipaddress.ip_address(host)
    if not listening.is_unspecified:
        return [host]
    family = socket.AF_INET6 if listening.version == 6 else socket.AF_INET
    cards = psutil.net_if_addrs().values()
    found = [entry.address for card in cards for entry in card if entry.family == family]
    return [text for text in found if not (named := ipaddress.ip_address(text)).is_loopback and not named.is_link_local]

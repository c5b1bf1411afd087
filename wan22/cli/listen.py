"""Opens the sockets that the server listens on, and says under which addresses it is reached."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from wan22.errors import ConfigurationError

BACKLOG = 2_048  # uvicorn's own default
_BOTH = frozenset({"127.0.0.1", "localhost"})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int, *, twin: bool = True) -> list[socket.socket]:
    """Listening sockets for `host`; with `twin`, on the usual loopback also for ::1, where there is one.

    Clients on Windows try ::1 first for `localhost` and lose up to two seconds when nothing is there. Port 0 picks a
    free one. Raises ConfigurationError with the cure if the address can't be had.
    """
    first = _bind_first("127.0.0.1" if host == "localhost" else host, port)
    sockets = [first]
    if twin and host in _BOTH:
        try:
            sockets.append(_open(socket.AF_INET6, ("::1", first.getsockname()[1])))
        except OSError:
            return sockets  # no IPv6 here, or somebody else has that port on it: 127.0.0.1 is enough
    return sockets


def url_of(bound: socket.socket) -> str:
    """The address of a listening socket, for a person or a client on this machine."""
    return url_at(*bound.getsockname()[:2])


def url_at(host: str, port: int) -> str:
    """The URL of a server that listens on `host`, for use on this machine."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bind_first(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return _open(family, address)
    except socket.gaierror as error:
        raise ConfigurationError(f"{host!r} is not an address of this machine; choose another with --host.") from error
    except OSError as error:
        raise ConfigurationError(_why(error, host, port)) from error


def _open(family: int, address: tuple[str | int, ...] | tuple[int, bytes]) -> socket.socket:
    # The protocol is named, since asyncio turns Nagle's delay off only on sockets that do: 40 ms an answer otherwise.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if (
            os.name == "posix"
        ):  # lets a restart have the port back at once; on Windows it would share it with a stranger
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken; stop the program that listens there or choose another with --port."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} on {host} is not allowed to this user; choose one above 1023 with --port."
    return f"The server can't listen on {host}:{port} ({error.strerror}); choose another with --host and --port."

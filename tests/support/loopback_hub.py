"""A hub on 127.0.0.1 with the real one's routes and headers, and faults that a test sets for each path.

Files of Git LFS are redirected to a second port, as the hub redirects them to another host. The same class stands for
a mirror, which has the same routes, and for a plain folder, which has `/files/<path>`.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

REPOSITORY = "Wan-AI/Small"
COMMIT = "c0ffee" + "0" * 34

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_BLOCK = 1 << 16
_FLIPPED = bytes(byte ^ 0xFF for byte in range(256))


class Content(Protocol):
    """What a file holds; the bench has one that makes its bytes as they are asked for."""

    size: int
    sha256: str

    def read(self, start: int, end: int) -> bytes:
        """Bytes from `start` to `end`."""


class Bytes:
    """Content in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.sha256 = hashlib.sha256(data).hexdigest()

    def read(self, start: int, end: int) -> bytes:
        return self.data[start:end]

    @property
    def git_sha1(self) -> str:
        return hashlib.sha1(b"blob %d\0" % self.size + self.data).hexdigest()


@dataclass
class Fault:
    """What goes wrong with a path, `times` times, or always."""

    status: int | None = None  # an answer without a body, as 429 and 503
    retry_after: str | None = None
    cut_after: int | None = None  # body bytes, then the connection ends
    silent: bool = False  # no answer until the hub closes
    stall_after: int | None = None  # body bytes, then silence until the hub closes
    bytes_per_s: int | None = None
    ignore_range: bool = False
    wrong_bytes: bool = False  # of the right size
    without: tuple[str, ...] = ()  # headers that are left out
    redirect_to: str | None = None
    etag: str | None = None
    size_said: str | None = None  # of the whole file, in headers
    times: int | None = None


@dataclass(frozen=True)
class Seen:
    """One request as it came in."""

    port: int
    path: str  # of the file, or the route
    headers: dict[str, str]

    @property
    def first_byte(self) -> int:
        found = _RANGE.fullmatch(self.headers.get("range", ""))
        return int(found[1]) if found else 0


@dataclass
class _State:
    files: dict[str, Content] = field(default_factory=dict)
    plain: set[str] = field(default_factory=set)  # not in Git LFS
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)  # body bytes by path
    entries: list[dict[str, Any]] = field(default_factory=list)  # more lines for the listing
    page_size: int = 1000
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)
    repository: str = REPOSITORY
    others: dict[str, set[str]] = field(default_factory=dict)  # paths of other repositories' files, which are theirs

    def paths_in(self, repository: str) -> list[str]:
        """The files of one repository."""
        theirs = set().union(*self.others.values())
        return sorted(self.others.get(repository, self.files.keys() - theirs))


class LoopbackHub:
    """A running hub; `endpoint` is its address and `storage` the other host's."""

    def __init__(self, files: dict[str, bytes] | None = None, *, repository: str = REPOSITORY) -> None:
        self._state = _State(repository=repository)
        self._servers = [self._serve(), self._serve()]
        self.endpoint, self.storage = (f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers)
        self._servers[0].storage = self.storage
        self._put_all(files or {})

    def __enter__(self) -> LoopbackHub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End at once, also answers that stall; a second call does nothing."""
        self._state.closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers = []

    @property
    def folder(self) -> str:
        """Address of the files as a plain folder."""
        return f"{self.endpoint}/files"

    def put(self, path: str, content: Content, *, lfs: bool = True) -> None:
        """Have that file."""
        self._state.files[path] = content
        if not lfs:
            self._state.plain.add(path)

    def also(self, repository: str, files: dict[str, bytes]) -> None:
        """Have another repository, none of whose paths is one of the first."""
        self._state.others[repository] = set(files)
        self._put_all(files)

    def _put_all(self, files: dict[str, bytes]) -> None:
        for path, data in files.items():
            self.put(path, Bytes(data), lfs=path.endswith((".safetensors", ".gguf", ".bin", ".model")))

    def fault(self, path: str, fault: Fault) -> None:
        """From now on, answers about a path have a fault; of several, the first that is not used up. `*` is any file,
        `listing` the two routes of the listing."""
        self._state.faults.setdefault(path, []).append(fault)

    def cure(self) -> None:
        """No fault any more."""
        self._state.faults.clear()

    def list_also(self, entry: dict[str, Any]) -> None:
        """Have the listing name something more."""
        self._state.entries.append(entry)

    def page(self, size: int) -> None:
        """Give the listing in pages of so many entries."""
        self._state.page_size = size

    def etag(self, path: str) -> str:
        """What the hub calls a file's content."""
        return f'"{self._state.files[path].sha256}"'

    def asked(self, path: str) -> list[Seen]:
        """The requests for a file's bytes, or for `listing`, on both ports, in order."""
        return [seen for seen in list(self._state.seen) if seen.path == path]

    def all_seen(self) -> list[Seen]:
        """Every request, in order."""
        return list(self._state.seen)

    def sent(self, path: str | None = None) -> int:
        """Body bytes sent for a file, or for all files."""
        with self._state.lock:
            return sum(self._state.sent.values()) if path is None else self._state.sent.get(path, 0)

    def _serve(self) -> Any:
        server = _Server(("127.0.0.1", 0), _Handler)
        server.state, server.storage = self._state, None
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    state: _State
    storage: str | None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path, state = unquote(url.path), self.server.state
        repository = next((one for one in (state.repository, *state.others) if f"/{one}/" in path), "")
        if path.startswith(f"/api/models/{repository}/"):
            self._listing(path, parse_qs(url.query), repository)
        elif (found := re.fullmatch(rf"/{repository}/resolve/[0-9a-f]{{40}}/(.+)", path)) and repository:
            elsewhere = state.files.keys() - set(state.paths_in(repository))
            self._resolve("" if found[1] in elsewhere else found[1])
        elif found := re.fullmatch(r"/(?:files|storage)/(.+)", path):
            self._file(found[1], path.startswith("/storage/"))
        else:
            self._empty(404)

    def _note(self, path: str) -> Fault:
        """Remember the request, and give the fault that it meets."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        state = self.server.state
        with state.lock:
            state.seen.append(Seen(self.server.server_address[1], path, headers))
            everywhere = state.faults.get("*", []) if path != "listing" else []
            for fault in [*state.faults.get(path, []), *everywhere]:
                if fault.times is None or fault.times > 0:
                    fault.times = None if fault.times is None else fault.times - 1
                    return fault
        return Fault()

    def _listing(self, path: str, query: dict[str, list[str]], repository: str) -> None:
        fault = self._note("listing")
        if self._refused(fault):
            return
        if "/revision/" in path:
            self._json({"sha": COMMIT})
            return
        state, start = self.server.state, int(query.get("cursor", ["0"])[0])
        entries = [*(_entry(name, state) for name in state.paths_in(repository)), *state.entries]
        end = start + state.page_size
        following = f"http://{self.headers['Host']}{path}?recursive=true&cursor={end}"
        self._json(entries[start:end], {"Link": f'<{following}>; rel="next"'} if end < len(entries) else {})

    def _json(self, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self._head(200, {"Content-Length": str(len(body)), **(headers or {})}, Fault())
        self.wfile.write(body)

    def _resolve(self, path: str) -> None:
        """As the hub does: LFS files are elsewhere, and the redirect says what they are; small files are here."""
        state = self.server.state
        if path not in state.files or path in state.plain:
            self._file(path, False)
            return
        content = state.files[path]
        headers = {
            "Location": f"{self.server.storage}/storage/{path}",
            "Content-Length": "0",
            "X-Repo-Commit": COMMIT,
            "X-Linked-Etag": f'"{content.sha256}"',
            "X-Linked-Size": self._size_said(path) or str(content.size),
        }
        with state.lock:
            state.seen.append(Seen(self.server.server_address[1], f"redirect {path}", self._lower_headers()))
            missing = {name for fault in state.faults.get(path, []) for name in fault.without}
        self._head(302, headers, Fault(without=tuple(missing)))

    def _size_said(self, path: str) -> str | None:
        with self.server.state.lock:
            return next((fault.size_said for fault in self.server.state.faults.get(path, []) if fault.size_said), None)

    def _lower_headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _file(self, path: str, on_storage: bool) -> None:
        fault = self._note(path)
        if self._refused(fault):
            return
        content = self.server.state.files.get(path)
        if content is None:
            self._empty(404)
            return
        etag = fault.etag or f'"{content.sha256}"'
        start, end = self._range(content.size, etag, fault)
        headers = {"ETag": etag, "Content-Length": str(end - start)}
        headers |= {} if on_storage else {"X-Repo-Commit": COMMIT}
        partial = "Range" in self.headers and not fault.ignore_range and self._same(etag)
        if partial:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{fault.size_said or content.size}"
        self._head(206 if partial else 200, headers, fault)
        self._body(path, content, (start, end), fault)

    def _same(self, etag: str) -> bool:
        return self.headers.get("If-Range", etag) == etag

    def _range(self, size: int, etag: str, fault: Fault) -> tuple[int, int]:
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        if not found or fault.ignore_range or not self._same(etag):
            return 0, size
        return int(found[1]), int(found[2]) + 1 if found[2] else size

    def _refused(self, fault: Fault) -> bool:
        """Answer at once where the fault is one of the head."""
        if fault.silent:
            self.server.state.closing.wait()
            self.close_connection = True
        elif fault.redirect_to is not None:
            self._head(302, {"Location": fault.redirect_to, "Content-Length": "0"}, fault)
        elif fault.status is not None:
            self._empty(fault.status, {} if fault.retry_after is None else {"Retry-After": fault.retry_after})
        return fault.silent or fault.redirect_to is not None or fault.status is not None

    def _empty(self, status: int, headers: dict[str, str] | None = None) -> None:
        self._head(status, {"Content-Length": "0", **(headers or {})}, Fault())

    def _head(self, status: int, headers: dict[str, str], fault: Fault) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name not in fault.without:
                self.send_header(name, value)
        if "Content-Length" in fault.without:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()

    def _body(self, path: str, content: Content, span: tuple[int, int], fault: Fault) -> None:
        state = self.server.state
        for block in _blocks(content, span, fault):
            if fault.bytes_per_s:
                state.closing.wait(len(block) / fault.bytes_per_s)
            if state.closing.is_set():
                break
            self.wfile.write(block)
            with state.lock:
                state.sent[path] = state.sent.get(path, 0) + len(block)
        if fault.stall_after is not None:
            state.closing.wait()
        if fault.stall_after is not None or fault.cut_after is not None or state.closing.is_set():
            self.close_connection = True


def _blocks(content: Content, span: tuple[int, int], fault: Fault) -> Iterator[bytes]:
    start, end = span
    limits = [limit for limit in (fault.cut_after, fault.stall_after) if limit is not None]
    end = min([end, *(start + limit for limit in limits)])
    block = min(_BLOCK, max(1, fault.bytes_per_s // 200)) if fault.bytes_per_s else _BLOCK
    for at in range(start, end, block):
        data = content.read(at, min(at + block, end))
        yield data.translate(_FLIPPED) if fault.wrong_bytes else data


def _entry(path: str, state: _State) -> dict[str, Any]:
    content = state.files[path]
    if path in state.plain:
        assert isinstance(content, Bytes)
        return {"type": "file", "path": path, "size": content.size, "oid": content.git_sha1}
    lfs = {"oid": content.sha256, "size": content.size, "pointerSize": 134}
    return {"type": "file", "path": path, "size": content.size, "oid": "0" * 40, "lfs": lfs}

"""Asks the hub which files a revision has, and falls back to the copy in the model's folder where the hub is dead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wan22.errors import DownloadFailed
from wan22.models.download.listing import Listing, commit_of, file_of
from wan22.models.download.manifest import find_manifest
from wan22.models.download.pace import Backoff, Clock, Stop
from wan22.models.download.sources import HubSource
from wan22.models.download.web import Query, SourceFailed, Web

_COMMIT = re.compile("[0-9a-f]{40}")
_UNREACHED = (
    "Without the hub's hashes nothing can be checked, so nothing is fetched. Make the hub reachable once, and see that "
    "download.hub is its address, or copy .wan22/manifest.json from a machine that has the model."
)
_MAX_PAGES = 1_000
_STALL_S = 15.0


class Hub:
    """The hub's two routes that say what there is. Mirrors are never asked: hashes must not come from who serves."""

    def __init__(self, source: HubSource, *, clock: Clock | None = None, stall_s: float = _STALL_S) -> None:
        self._source = source
        self._stop = Stop(clock or Clock())
        self._stall_s = stall_s

    def find_listing(self, revision: str, target: Path) -> Listing:
        """The files of a revision (a branch, a tag or a commit), from the hub or else from the manifest in `target`.

        Raises DownloadFailed if neither is there. A manifest of the very commit is used without asking.
        """
        kept = self._kept(revision, target)
        if kept is not None and kept.commit == revision:
            return kept
        try:
            return self._patiently(revision, tries=3 if kept is None else 1)
        except SourceFailed as error:
            if kept is not None:
                return kept
            raise DownloadFailed(
                f"{self._source.name} does not list {self._source.repository} at {revision}, {error.reason}, "
                f"and {target} has no manifest of it.",
                hint=error.hint or _UNREACHED,
            ) from error

    def _kept(self, revision: str, target: Path) -> Listing | None:
        kept = find_manifest(target)
        same = kept is not None and kept.repository == self._source.repository
        return kept if same and kept is not None and revision in (kept.revision, kept.commit) else None

    def _patiently(self, revision: str, tries: int) -> Listing:
        """The listing; the hub is asked again where that may help."""
        backoff = Backoff()
        for failures in range(1, tries):
            try:
                return self._fetch(revision)
            except SourceFailed as error:
                if error.final:
                    raise
                self._stop.wait(backoff.pause_s(failures, error.retry_after_s))
        return self._fetch(revision)

    def _fetch(self, revision: str) -> Listing:
        with Web(self._stop, stall_s=self._stall_s) as web:
            commit = self._commit(web, revision)
            files = tuple(file for entry in self._entries(web, commit) if (file := file_of(entry)) is not None)
        return Listing(self._source.repository, revision, commit, files)

    def _commit(self, web: Web, revision: str) -> str:
        if _COMMIT.fullmatch(revision):
            return revision
        answer, _ = self._json(web, self._api(f"revision/{quote(revision, safe='')}"))
        return commit_of(answer)

    def _entries(self, web: Web, commit: str) -> Iterator[Any]:
        url: str | None = self._api(f"tree/{commit}?recursive=true")
        for _ in range(_MAX_PAGES):
            if url is None:
                return
            entries, url = self._json(web, url)
            if not isinstance(entries, list):
                raise SourceFailed("it answers with something that is no listing", final=True)
            yield from entries
        raise SourceFailed("its listing has no end", final=True)

    def _json(self, web: Web, url: str) -> tuple[Any, str | None]:
        """The answer's content, and the address of the next page. Only the hub's own host may give them."""
        query = Query(url, key=self._source.key, same_host=True)
        with web.get(query) as response:
            response.read()
            following = response.links.get("next", {}).get("url")
            try:
                content = response.json()
            except (ValueError, RecursionError) as error:
                raise SourceFailed("it answers with something that is no listing", final=True) from error
            return content, self._own(response.url.join(following)) if following else None

    def _own(self, url: Any) -> str:
        if not str(url).startswith(f"{self._source.endpoint.rstrip('/')}/"):
            raise SourceFailed("its listing goes on at another host", final=True)
        return str(url)

    def _api(self, route: str) -> str:
        return f"{self._source.endpoint.rstrip('/')}/api/models/{self._source.repository}/{route}"

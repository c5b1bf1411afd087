"""Shows on a terminal how a download, a verification or a conversion goes: a bar for each file, and one for all."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

from wan22.models.download import DownloadProgress

NAME_CHARS = 36
"""As many of a file's name as leave room for the rest of its line on a terminal of 80 columns."""

TAIL_CHARS = 23
"""Of those, the last: shards differ there, as in 1-of-00012.safetensors."""


class Bars:
    """A bar for each file that is being fetched, and one for all together; nothing where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None),  # what the others leave
            DownloadColumn(table_column=Column(no_wrap=True)),
            TransferSpeedColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=console,
            expand=True,
            disable=not console.is_terminal,
        )
        self._all = self._bars.add_task("all files", total=None)
        self._rows: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, progress: DownloadProgress) -> None:
        """How it stands now."""
        self._bars.update(self._all, total=progress.size_bytes, completed=progress.done_bytes)
        for file in progress.files:
            if file.state in ("checking", "fetching") and file.path not in self._rows:
                self._rows[file.path] = self._bars.add_task(shortened(file.path), total=file.size_bytes)
            if file.path in self._rows:
                row = self._rows[file.path]
                self._bars.update(row, completed=file.done_bytes, visible=file.state in ("checking", "fetching"))


def shortened(path: str) -> str:
    """A file's name with its middle left out where it is long: its folder and its end tell it from the others."""
    return path if len(path) <= NAME_CHARS else f"{path[: NAME_CHARS - TAIL_CHARS - 1]}…{path[-TAIL_CHARS:]}"

"""Where the results of a command go: names, formats by ending, and what must not be overwritten."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wan22.client import Client, RemoteTask
from wan22.client.client import default_name
from wan22.errors import ConfigurationError

FORMATS = frozenset({"mp4", "webm", "gif", "png", "webp"})


@dataclass(frozen=True)
class Target:
    """A file, a folder that exists, or None for the current folder; `wanted` is the format asked for, if any."""

    path: Path | None
    wanted: str | None = None
    force: bool = False

    @property
    def file(self) -> Path | None:
        """The file that is named, None if none is."""
        return None if self.path is None or self.path.is_dir() else self.path

    @property
    def format(self) -> str | None:
        """The format to ask the server for: the wanted one, or the one that the file's ending names."""
        return self.wanted or (self.file.suffix.lstrip(".").lower() or None if self.file else None)

    def check(self) -> None:
        """Raise ConfigurationError if the result could not be kept as named; called before any work is done."""
        if self.file is None:
            return
        if self.file.exists() and not self.force:
            raise ConfigurationError(f"{self.file} is already there; choose another -o, or add --force to replace it.")
        ending = self.file.suffix.lstrip(".").lower()
        if ending and (ending not in FORMATS or ending != (self.format or "").lower()):
            known = ", ".join(sorted(FORMATS))
            raise ConfigurationError(
                f"{self.file} can't hold {self.format}; let it end in the format: {known}, or leave the ending out."
            )

    def take(self, client: Client, task: RemoteTask, index: int) -> Path:
        """Download one output to its place and tell where that is. Raises as `check`, and as `Client.download`."""
        place = self.place(task, index)
        if place.exists() and not self.force:
            raise ConfigurationError(f"{place} is already there; move it away, or add --force to replace it.")
        return client.download(task, index, place)

    def place(self, task: RemoteTask, index: int) -> Path:
        """The path of one output; several from one -o are told apart by their number."""
        name = Path(default_name(task, index))
        if self.file is None:
            return (self.path or Path()) / name
        number = f"-{index}" if len(task.outputs) > 1 else ""
        return self.file.with_name(f"{self.file.stem}{number}{self.file.suffix or name.suffix}")

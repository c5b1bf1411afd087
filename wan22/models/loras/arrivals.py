"""LoRA files that are sent to the server: written under a name of ours, judged by their header, and only then named.

What the sender calls a file is cleaned by `names` and is never a path. Nothing of HTTP is here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import os
import re
import threading
from pathlib import Path
from uuid import uuid4

from wan22.errors import BodyTooLarge, DiskFull, InvalidRequest, ServerFault, WrongState
from wan22.models import looks
from wan22.models.download.disk import free_bytes, has_room, no_room, publish
from wan22.models.loras.files import PICKLES, SUFFIX, LoraFile, read
from wan22.models.loras.folders import Loras
from wan22.models.loras.names import safe_name

logger = logging.getLogger(__name__)

FIELD = "file"

_UNDER_WAY = ".upload-"  # with the dot, so that no list has it
_PICKLE = "is a pickle, which can run code when it is read, so that it never is; send the LoRA as a safetensors file"
_NO_SAFETENSORS = "must be a .safetensors file"
_NAMELESS = f"has no name before {SUFFIX}, and requests call a LoRA by that; name it, as my_lora{SUFFIX}"
_FREE_SPACE = "Free space there, then send the file again."


class Arrivals:
    """The folder that they come into. Every method may be called from any thread."""

    def __init__(self, folder: Path, *, max_bytes: int, loras: Loras | None = None) -> None:
        """`loras` are those that must keep their names."""
        self._folder = folder
        self._loras = loras or Loras((folder,))
        self.max_bytes = max_bytes
        self._naming = threading.Lock()  # held from the look for a file of that name until the new one has it

    def sweep(self) -> None:
        """Remove what an earlier process left half written."""
        for path in self._folder.glob(f"{_UNDER_WAY}*"):
            _remove(path)

    def refuse_what_does_not_fit(self, least_bytes: int) -> None:
        """Raises BodyTooLarge and DiskFull for a size that is told beforehand, and which a file has at least."""
        if least_bytes > self.max_bytes:
            raise self.too_large()
        free = free_bytes(self._folder)
        if not has_room(least_bytes, free):
            raise no_room(
                "The LoRA",
                self._folder,
                missing_bytes=least_bytes,
                free_bytes=free,
                hint=_FREE_SPACE,
                at_least=True,
            )

    def open(self, client_name: str, *, replace: bool) -> Arrival:
        """A file on its way. Raises InvalidRequest for a name of another kind, WrongState for one that is taken."""
        stem = self._stem(client_name)
        final = self._folder / f"{stem}{SUFFIX}"
        self._check_free(final, replace)
        return Arrival(self, final, replace=replace)

    def too_large(self) -> BodyTooLarge:
        """The error of a file over the limit."""
        return BodyTooLarge(
            f"A LoRA may have {self.max_bytes:,} bytes at most.",
            hint="Change models.max_lora_bytes, or put the file into the LoRA folder yourself.",
        )

    def make_part(self) -> Path:
        """The path that a new file is written to. Raises ServerFault."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            next(self._folder.iterdir(), None)  # else it would not be known which names are taken
        except OSError as error:
            raise self.fault(error) from error
        return self._folder / f"{_UNDER_WAY}{uuid4().hex}"

    def name(self, file: LoraFile, final: Path, *, replace: bool) -> None:
        """Give a whole file its name. Raises WrongState, ServerFault."""
        with self._naming:
            self._check_free(final, replace)
            final = self._taken(final) or final
            self._check_names(dataclasses.replace(file, path=final.parent.resolve() / final.name))
            try:
                publish(file.path, final)
            except OSError as error:
                raise self.fault(error) from error

    def fault(self, error: OSError) -> DiskFull | ServerFault:
        """What a refusal of the system means."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFull(f"The disk of {self._folder} filled up while the LoRA came in.", hint=_FREE_SPACE)
        taken = isinstance(error, (FileExistsError, NotADirectoryError))
        cure = (
            "Remove what stands in its place" if taken else "Check that the server's account may read and write there"
        )
        return ServerFault(
            f"The LoRA folder {self._folder} can't be used: {error.strerror or type(error).__name__}.",
            hint=f"{cure}, then send the file again.",
        )

    def _stem(self, client_name: str) -> str:
        """The last part of what the sender calls the file, on whatever system, made safe."""
        name = re.split(r"[/\\]", client_name)[-1]
        if name.lower() == SUFFIX:
            raise InvalidRequest.of(FIELD, _NAMELESS, client_name)
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a name and no path of ours
        if suffix.lower() in PICKLES:
            raise InvalidRequest.of(FIELD, _PICKLE, client_name)
        if suffix.lower() != SUFFIX:
            raise InvalidRequest.of(FIELD, _NO_SAFETENSORS, client_name)
        return safe_name(stem)

    def _check_free(self, final: Path, replace: bool) -> None:
        if not replace and (taken := self._taken(final)):
            raise WrongState(
                f"There is a LoRA file {taken.name} already.",
                hint="Send it under another name, or with `?replace=true` to put it in the place of the old one.",
            )

    def _check_names(self, arrival: LoraFile) -> None:
        if renamed := self._loras.renamed_by(arrival):
            raise WrongState(
                f"The LoRA {renamed.name} would lose its name to {arrival.path.name}, and requests that name it would "
                "get this one.",
                hint="Send it under another name.",
            )

    def _taken(self, final: Path) -> Path | None:
        """What has that name; some systems don't tell cases apart, and a folder may be carried to one."""
        return next(
            (entry for entry in looks.entries(self._folder) if entry.name.casefold() == final.name.casefold()), None
        )


class Arrival:
    """One file while it comes. Leaving the block without `finish` removes it."""

    def __init__(self, arrivals: Arrivals, final: Path, *, replace: bool) -> None:
        self._arrivals = arrivals
        self._final = final
        self._replace = replace
        self._part = arrivals.make_part()
        self._size = 0
        try:
            self._file = self._part.open("xb")
        except OSError as error:
            raise arrivals.fault(error) from error

    def __enter__(self) -> Arrival:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """The next bytes. Raises BodyTooLarge, DiskFull, ServerFault."""
        self._size += len(data)
        if self._size > self._arrivals.max_bytes:
            raise self._arrivals.too_large()
        try:
            self._file.write(data)
        except OSError as error:
            raise self._arrivals.fault(error) from error

    def finish(self) -> Path:
        """Judge it and give it its name. Raises InvalidRequest with what is wrong with it, WrongState, ServerFault."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise self._arrivals.fault(error) from error
        file = read(self._part)
        if file.problem:
            raise InvalidRequest.of(FIELD, f"can't be used as a LoRA. {file.problem}")
        self._arrivals.name(file, self._final, replace=self._replace)
        logger.info("A LoRA came in: %s.", self._final.name, extra={"action": "lora.arrived", "size": self._size})
        return self._final

    def close(self) -> None:
        """Remove it, unless it has its name; a second call does nothing."""
        with contextlib.suppress(OSError):  # what it could not write is not wanted any more
            self._file.close()
        _remove(self._part)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # it is in no list, and the next start tries again
        path.unlink(missing_ok=True)

"""Owns the finished files: where they are, what they are called, when they go. Making one is `writer`'s."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from wan22.errors import NotFound
from wan22.media.encoders import EncoderSettings
from wan22.media.files import disk_errors, remove_tree, sweep_parts
from wan22.media.writer import OutputWriter
from wan22.tasks import Render, Request

__all__ = ["OutputWriter", "Outputs"]

logger = logging.getLogger(__name__)

_TASK_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FILE_NAME = re.compile(r"(?:0|[1-9][0-9]{0,3})\.(?:mp4|webm|gif|png|webp|thumb\.jpg)", re.ASCII)
_NO_FILE = "There is no such file: the task's `outputs` name those that it has."


class Outputs:
    """The folder of outputs, with one folder in it for each task that has any."""

    def __init__(self, folder: Path, *, encoder_threads: int = 0, ffmpeg: Path | None = None) -> None:
        """`ffmpeg` is the program to encode with; by default the one that imageio-ffmpeg finds."""
        self._folder = folder.absolute()
        self._settings = EncoderSettings(threads=encoder_threads, ffmpeg=ffmpeg)

    def create(self, task_id: str, index: int, fence: int, *, request: Request, render: Render) -> OutputWriter:
        """A writer for the task's output number `index`; `fence` keeps apart what two runs of the task write."""
        folder = self._task_folder(task_id)
        return OutputWriter(folder, index, fence, request=request, render=render, settings=self._settings)

    def path(self, task_id: str, file_name: str) -> Path:
        """A whole file of a task. Raises NotFound if it is not there or its name is none that we give."""
        if not _FILE_NAME.fullmatch(file_name):
            raise NotFound(_NO_FILE)
        path = self._task_folder(task_id) / file_name
        if not path.is_file() or path.resolve() != self._folder.resolve() / task_id / file_name:  # or a link leads out
            raise NotFound(_NO_FILE)
        return path

    def remove(self, task_id: str) -> None:
        """Remove all files of a task; a task without any is fine. Raises ServerFault if the disk refuses."""
        with disk_errors("The outputs' removal"):
            remove_tree(self._task_folder(task_id))

    def sweep(self) -> int:
        """Remove what a dead process left half-written; gives the number of files. Only before the first `create`."""
        count = sweep_parts(self._folder)
        if count:
            logger.info("%d part files of a dead process were removed.", count, extra={"action": "media.swept"})
        return count

    def _task_folder(self, task_id: str) -> Path:
        if not _TASK_ID.fullmatch(task_id):
            raise NotFound("There is no task of that id.")
        return self._folder / task_id

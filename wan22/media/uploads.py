"""Keeps the checked input pictures, each once, under the hash of its content. Does not check them; that is `images`."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from PIL import Image, ImageOps

from wan22.errors import InvalidImage, NotFound
from wan22.media.files import PART, disk_errors, publish, remove_file, sweep_parts
from wan22.media.images import Picture
from wan22.tasks import ImageRef

_ID = re.compile(r"upl_[0-9a-f]{32}")
_GONE = "There is no picture of that id: send the picture itself."
_DAMAGED = "The stored picture is damaged: send the picture itself again."


class Uploads:
    """The folder of input pictures. Saving one twice keeps one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def save(self, picture: Picture) -> ImageRef:
        """Keep the picture; it is on disk for good when this returns. Raises DiskFull, ServerFault."""
        final = self._folder / f"{picture.ref.id}.png"
        part = self._folder / f"{picture.ref.id}.{secrets.token_hex(4)}{PART}"  # two requests may bring it at once
        if final.is_file():
            return picture.ref
        with disk_errors("The picture"):
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                part.write_bytes(picture.png)
                publish(part, final)
            finally:
                remove_file(part)
        return picture.ref

    def get(self, upload_id: str) -> ImageRef:
        """The picture of that id. Raises NotFound, for any string that is none."""
        with self._read(upload_id) as image:
            return ImageRef(id=upload_id, width=image.width, height=image.height)

    def open(self, ref: ImageRef) -> Image.Image:
        """The picture itself, RGB, in memory. Raises NotFound, and InvalidImage if the stored file is damaged."""
        with self._read(ref.id) as image:
            try:
                return image.convert("RGB")
            except (OSError, SyntaxError, ValueError) as error:
                raise InvalidImage(_DAMAGED) from error

    def remove(self, upload_id: str) -> None:
        """Remove the picture of that id; a missing one is fine. That nothing needs it any more is the caller's word.

        Raises NotFound for what can't be an id.
        """
        if not _ID.fullmatch(upload_id):
            raise NotFound(_GONE)
        remove_file(self._folder / f"{upload_id}.png")

    def sweep(self) -> int:
        """Remove what a dead process left half-written; gives the number of files. Only before the first `save`."""
        return sweep_parts(self._folder)

    def _read(self, upload_id: str) -> Image.Image:
        if not _ID.fullmatch(upload_id):
            raise NotFound(_GONE)
        path = self._folder / f"{upload_id}.png"
        if path.is_symlink() or not path.is_file():  # we make no links: one would be a way out of the folder
            raise NotFound(_GONE)
        try:
            return Image.open(path, formats=("PNG",))
        except (OSError, SyntaxError, ValueError) as error:
            raise InvalidImage(_DAMAGED) from error


def fit(image: Image.Image, width: int, height: int) -> Image.Image:
    """The picture at exactly `width` x `height`: scaled to cover it and cut about the centre, never stretched."""
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)

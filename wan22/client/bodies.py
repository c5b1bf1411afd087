"""What is sent with a submit call: JSON, or multipart where a picture travels as a file. Pure, save for reading the
pictures that it is told to read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wan22.errors import InvalidRequest
from wan22.tasks import Draft

Picture = str | Path | bytes
PICTURE_FIELDS = ("image", "last_image")


@dataclass(frozen=True)
class Body:
    """Either `json`, or `data` with `files`, as httpx takes them."""

    json: dict[str, Any] | None = None
    data: dict[str, str] | None = None
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of an httpx request."""
        return {"data": self.data, "files": self.files} if self.files else {"json": self.json}


def submit_body(draft: Draft | None, fields: dict[str, Any], pictures: dict[str, Picture | None]) -> Body:
    """The body of a submit call; `fields` go over those of `draft`, None means left out.

    A picture given as bytes, or as a path, is sent as a file; a string that starts with `upl_` or `data:` is sent as it
    is. Raises InvalidRequest if a named file can't be read.
    """
    sent = draft.model_dump(mode="json", exclude_unset=True) if draft else {}
    sent |= fields
    files: dict[str, tuple[str, bytes]] = {}
    for name, picture in pictures.items():
        if isinstance(picture, str) and picture.startswith(("upl_", "data:")):
            sent[name] = picture
        elif picture is not None:
            files[name] = (name, _bytes_of(name, picture))
            sent.pop(name, None)
    sent = {name: value for name, value in sent.items() if value is not None}
    if not files:
        return Body(json=sent)
    return Body(data={name: _form_value(value) for name, value in sent.items()}, files=files)


def _bytes_of(name: str, picture: Picture) -> bytes:
    if isinstance(picture, bytes):
        return picture
    try:
        return Path(picture).read_bytes()
    except (OSError, ValueError) as error:
        raise InvalidRequest.of(
            name, f"the file can't be read ({error}); give the path of a PNG, JPEG or WebP file"
        ) from error


def _form_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)

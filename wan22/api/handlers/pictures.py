"""The input pictures of a submit call: from whatever form they were sent in to a checked picture or a stored one."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wan22.api.mistakes import MULTIPART_CURE
from wan22.api.services import Services
from wan22.errors import InvalidImage, InvalidRequest, NotFound
from wan22.media.images import Picture, read_picture
from wan22.tasks import Draft, ImageRef, Request

FIELDS = ("image", "last_image")
_DATA_URL = re.compile(r"data:image/(?:png|jpe?g|webp);base64,", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]*={0,2}\s*")
_FILE_NAME = re.compile(r".*\.(png|jpe?g|webp|gif|bmp|tiff?)", re.IGNORECASE)


@dataclass(frozen=True)
class Given:
    """One input picture. `picture` is None where it is stored already."""

    ref: ImageRef
    picture: Picture | None = None


def read_pictures(draft: Draft, files: Mapping[str, bytes], services: Services) -> dict[str, Given]:
    """The pictures of a draft, by field. Stores nothing; takes long, so call it in a thread.

    Raises InvalidImage, and InvalidRequest for a field that holds no picture at all.
    """
    given = {}
    for name in FIELDS:
        text = getattr(draft, name)
        if name in files:
            if text:
                raise InvalidRequest.of(name, "is there twice, as a file and as text; send it once")
            given[name] = _decoded(name, files[name], services)
        elif text:
            given[name] = _from_text(name, text, services)
    return given


def keep(given: Mapping[str, Given], services: Services) -> None:
    """Store what is not stored yet. Raises InvalidRequest for a stored one that has gone since it was read.

    Call it, and what makes a task refer to the pictures, under `services.pictures`.
    """
    for name, one in given.items():
        if one.picture is not None:
            services.uploads.save(one.picture)
        else:
            _stored(name, one.ref.id, services)


def drop_unused(upload_ids: Iterable[str], services: Services) -> None:
    """Remove those of the stored pictures that no task refers to. Call it under `services.pictures`."""
    for upload_id in set(upload_ids):
        if not services.queue.refers_to(upload_id):
            services.uploads.remove(upload_id)


def pictures_of(request: Request) -> list[str]:
    """Ids of the pictures that a request refers to."""
    return [one.id for one in (request.image, request.last_image) if one]


def _from_text(name: str, text: str, services: Services) -> Given:
    if text.startswith("upl_"):
        return Given(_stored(name, text, services))
    return _decoded(name, _bytes_of(name, text), services)


def _stored(name: str, upload_id: str, services: Services) -> ImageRef:
    try:
        return services.uploads.get(upload_id)
    except NotFound as error:
        raise InvalidRequest.of(
            name, "is no picture that this server has; send the picture itself", upload_id
        ) from error


def _decoded(name: str, data: bytes, services: Services) -> Given:
    try:
        picture = read_picture(data, max_pixels=services.settings.media.max_image_pixels)
    except InvalidImage as error:
        raise InvalidImage(error.detail, hint=error.hint, field=name) from error
    return Given(picture.ref, picture)


def _bytes_of(name: str, text: str) -> bytes:
    """The bytes in a data URL or in bare base64, of either alphabet, with or without line breaks and padding."""
    head = _DATA_URL.match(text)
    encoded = text[head.end() :] if head else text
    if not head and (cure := _not_a_picture(text)):
        raise InvalidRequest.of(name, cure, text)
    if not _BASE64.fullmatch(encoded):
        raise InvalidRequest.of(name, "is not base64; send a data URL, base64, or the id of an earlier upload", text)
    tidy = "".join(encoded.split()).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(tidy + "=" * (-len(tidy) % 4))
    except binascii.Error as error:
        raise InvalidRequest.of(name, "is base64 that was cut short; send it whole", text) from error


def _not_a_picture(text: str) -> str | None:
    """What is wrong with a text that points at a picture instead of being one."""
    if text.startswith("data:"):
        return "must be a data URL of a PNG, JPEG or WebP picture in base64: data:image/png;base64,…"
    if re.match(r"\w+://", text):
        return f"is an address; the server fetches nothing. {MULTIPART_CURE}"
    if len(text) < 1_000 and _FILE_NAME.fullmatch(text):
        return f"is a file's name, and the server can't see your files. {MULTIPART_CURE}"
    return None

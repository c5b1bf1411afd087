"""Reads the pictures that callers send: checks them before decoding, and makes plain RGB PNGs of them.

Does not store them; that is `uploads`. Nothing but the pixels of a caller's file goes further: no metadata, no colour
profile, no second frame.
"""

from __future__ import annotations

import hashlib
import io
import logging
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from wan22.errors import InvalidImage
from wan22.tasks import ImageRef

logger = logging.getLogger(__name__)

FORMATS = ("PNG", "JPEG", "WEBP")  # Pillow can open forty more, some of them through other programs
MIN_SIDE = 16
MAX_ASPECT = 16
"""Beyond it a picture cut to any size that a model renders would show next to nothing of itself."""

MAX_JPEG_SCANS = 200
"""A progressive JPEG has about ten scans. One may be 33 bytes long and costs 11 ms at 16 megapixels (measured)."""

_START_OF_SCAN = b"\xff\xda"
_DAMAGE = (OSError, SyntaxError, ValueError, LookupError, TypeError, EOFError, struct.error, zlib.error, OverflowError)
"""What Pillow's decoders raise on damaged files."""


@dataclass(frozen=True)
class Picture:
    """A checked picture: what it is called, and its pixels as an RGB PNG."""

    ref: ImageRef
    png: bytes


def read_picture(data: bytes, *, max_pixels: int) -> Picture:
    """The picture in a PNG, JPEG or WebP file of at most `max_pixels` (width x height, checked before decoding).

    It is turned upright as its EXIF says. Transparent parts become white; CMYK, palettes, grey and 16 bits become
    8-bit RGB. Colour profiles are dropped unread: their parsers have a history of holes.
    Raises InvalidImage for everything else, in a sentence that says what to do.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check(image, data, max_pixels)
            image.load()
            rgb = _to_rgb(_upright(image))
    except UnidentifiedImageError as error:
        raise InvalidImage("This is no picture that can be read: send a PNG, JPEG or WebP.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise InvalidImage(f"The picture is too large: scale it down to at most {max_pixels:,} pixels.") from error
    except _DAMAGE as error:
        raise InvalidImage("The picture is damaged or was cut short: save it anew, then send it again.") from error
    return _picture(rgb)


def _check(image: Image.Image, data: bytes, max_pixels: int) -> None:
    """Refuse by what the header says."""
    size = f"{image.width}x{image.height}"
    if image.width * image.height > max_pixels:
        raise InvalidImage(f"The picture is {size}: scale it down to at most {max_pixels:,} pixels.")
    if min(image.size) < MIN_SIDE:
        raise InvalidImage(f"The picture is {size}: send one of at least {MIN_SIDE} pixels a side.")
    if max(image.size) > MAX_ASPECT * min(image.size):
        raise InvalidImage(f"The picture is {size}: cut it to an aspect within 1:{MAX_ASPECT}.")
    if image.format in ("PNG", "WEBP"):
        if getattr(image, "is_animated", False):
            raise InvalidImage("The picture is animated: send a single frame of it.")
    elif data.count(_START_OF_SCAN) > MAX_JPEG_SCANS:  # beside JPEG it may be MPO, a phone's JPEG with a second view
        raise InvalidImage("The JPEG has too many scans: save it anew as a baseline JPEG, then send it.")


def _upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF says; as it is where the EXIF is damaged, which does not spoil the pixels."""
    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGE:
        logger.info("A picture's EXIF can't be read; it is taken as upright.", extra={"action": "media.exif_damaged"})
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip at 255
        high = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255)
        return Image.fromarray(high.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _picture(rgb: Image.Image) -> Picture:
    rgb.info = {}  # or Pillow writes the colour profile that it finds there
    file = io.BytesIO()
    rgb.save(file, "PNG", compress_level=3)  # 2.5 times as fast as the default, and no larger on photographs
    png = file.getvalue()
    name = "upl_" + hashlib.sha256(png).hexdigest()[:32]
    return Picture(ImageRef(id=name, width=rgb.width, height=rgb.height), png)

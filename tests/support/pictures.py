"""Input pictures for tests."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image


def gradient(width: int = 320, height: int = 200) -> Image.Image:
    """A picture with a different colour in each corner."""
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([columns * 255 // width, rows * 255 // height, (rows + columns) % 255], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(image: Image.Image, format: str = "PNG") -> bytes:
    """The picture as a file's bytes."""
    file = io.BytesIO()
    image.save(file, format)
    return file.getvalue()


def data_url(image: Image.Image) -> str:
    """The picture as a data URL."""
    return "data:image/png;base64," + base64.b64encode(encoded(image)).decode()

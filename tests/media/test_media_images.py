"""What callers send for a picture: every honest kind comes out as plain RGB, the rest as a sentence with a cure."""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.pictures import encoded, gradient

from wan22.errors import InvalidImage
from wan22.media.images import Picture, read_picture

LIMIT = 16_777_216
ORIENTATION = 0x0112


def read(data: bytes) -> Picture:
    return read_picture(data, max_pixels=LIMIT)


def pixels(picture: Picture) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The stored PNG's pixels."""
    with Image.open(io.BytesIO(picture.png)) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        assert image.size == (picture.ref.width, picture.ref.height)
        return np.asarray(image).astype(np.int64)


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG that says it has that size; one row of grey is all there is."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(width + 1)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + body + chunk(b"IEND", b"")


def webp(width: int, height: int) -> bytes:
    """The beginning of a WebP with a canvas of that size."""
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x00" * 4 + size
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg(width: int, height: int) -> bytes:
    """A JPEG whose header says it has that size."""
    data = bytearray(encoded(gradient(32, 32), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_the_three_formats_are_read(format: str) -> None:
    picture = read(encoded(gradient(320, 200), format))
    assert (picture.ref.width, picture.ref.height) == (320, 200)
    assert np.abs(pixels(picture) - np.asarray(gradient(320, 200))).mean() < 8


def test_a_png_keeps_every_pixel() -> None:
    assert np.array_equal(pixels(read(encoded(gradient()))), np.asarray(gradient()))


def test_the_id_is_the_hash_of_what_is_stored() -> None:
    picture = read(encoded(gradient()))
    assert picture.ref.id == "upl_" + hashlib.sha256(picture.png).hexdigest()[:32]
    assert read(picture.png) == picture, "and reading it again changes nothing"


HALF = Image.new("L", (32, 32), 128)
RED = Image.new("RGB", (32, 32), (255, 0, 0))
WITH_ALPHA = Image.merge("RGBA", (*RED.split(), HALF))

MODES = {
    "RGBA over white": (saved(WITH_ALPHA, "PNG"), (255, 127, 127)),
    "WebP alpha over white": (saved(WITH_ALPHA, "WEBP", lossless=True), (255, 127, 127)),
    "clear is white": (saved(Image.new("RGBA", (32, 32), (9, 9, 9, 0)), "PNG"), (255, 255, 255)),
    "grey": (saved(HALF, "PNG"), (128, 128, 128)),
    "grey with alpha": (saved(Image.merge("LA", (Image.new("L", (32, 32)), HALF)), "PNG"), (127, 127, 127)),
    "black and white": (saved(Image.new("1", (32, 32), 1), "PNG"), (255, 255, 255)),
    "palette": (saved(RED.quantize(4), "PNG"), (255, 0, 0)),
    "palette with a clear colour": (saved(RED.quantize(4), "PNG", transparency=0), (255, 255, 255)),
    "a clear RGB colour": (saved(RED, "PNG", transparency=(255, 0, 0)), (255, 255, 255)),
    "16-bit grey": (saved(Image.fromarray(np.full((32, 32), 0x8012, np.uint16)), "PNG"), (128, 128, 128)),
    "CMYK": (saved(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG"), (254, 0, 0)),
    "grey JPEG": (saved(HALF, "JPEG"), (128, 128, 128)),
    "progressive JPEG": (saved(RED, "JPEG", progressive=True), (254, 0, 0)),
}


@pytest.mark.parametrize(("data", "colour"), MODES.values(), ids=MODES.keys())
def test_every_kind_of_pixel_becomes_rgb(data: bytes, colour: tuple[int, int, int]) -> None:
    assert np.abs(pixels(read(data)) - colour).max() <= 2


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))])
def test_a_picture_is_turned_as_its_exif_says(format: str, orientation: int, corner: tuple[int, int]) -> None:
    image = Image.new("RGB", (64, 32))
    image.paste("white", (0, 0, 16, 16))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    seen = pixels(read(saved(image, format, exif=exif, quality=100)))
    assert seen.shape[:2] == ((32, 64) if orientation in (1, 3) else (64, 32))
    assert seen[corner].min() > 200


def test_damaged_exif_does_not_spoil_a_picture() -> None:
    assert read(saved(gradient(), "JPEG", exif=b"Exif\0\0MG\x00*\xff\xff\xff\xff")).ref.width == 320


def test_nothing_but_pixels_is_kept() -> None:
    from PIL.PngImagePlugin import PngInfo

    said = PngInfo()
    said.add_text("Comment", "taken at home")
    exif = Image.Exif()
    exif[0x010E] = "a secret"
    picture = read(saved(gradient(), "PNG", pnginfo=said, exif=exif, icc_profile=b"profile", dpi=(300, 300)))
    kinds = [picture.png[at + 4 : at + 8] for at in _chunks(picture.png)]
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}


def _chunks(data: bytes) -> list[int]:
    starts, at = [], 8
    while at < len(data):
        starts.append(at)
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return starts


def test_a_phone_s_second_view_is_left_out() -> None:
    data = saved(gradient(64, 48), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    assert pixels(read(data)).mean() > 50


REFUSED = {
    "empty": (b"", "send a PNG, JPEG or WebP"),
    "text": (b"hello", "send a PNG"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "send a PNG"),
    "HTML in a GIF": (b"GIF89a/*<script>alert(1)</script>*/", "send a PNG"),
    "GIF": (saved(gradient(), "GIF"), "send a PNG"),
    "BMP": (saved(gradient(), "BMP"), "send a PNG"),
    "TIFF": (saved(gradient(), "TIFF"), "send a PNG"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(x) run", "send a PNG"),
    "PDF": (b"%PDF-1.7\n", "send a PNG"),
    "an mp4": (b"\x00\x00\x00\x20ftypisom", "send a PNG"),
    "1x1": (saved(Image.new("RGB", (1, 1)), "PNG"), "at least 16 pixels a side"),
    "15 high": (saved(Image.new("RGB", (64, 15)), "PNG"), "at least 16 pixels a side"),
    "100000x1": (png(100_000, 1), "at least 16 pixels a side"),
    "1:16.1": (saved(Image.new("RGB", (322, 20)), "PNG"), "cut it to an aspect"),
    "16.1:1": (saved(Image.new("RGB", (20, 322)), "PNG"), "cut it to an aspect"),
    "animated PNG": (saved(RED, "PNG", save_all=True, append_images=[gradient(32, 32)]), "a single frame"),
    "animated WebP": (saved(RED, "WEBP", save_all=True, append_images=[gradient(32, 32)]), "a single frame"),
    "one pixel too many": (png(4096, 4097), "scale it down to at most 16,777,216"),
    "PNG bomb": (png(13_000, 13_000), "scale it down"),
    "huge PNG bomb": (png(2**31 - 1, 2**31 - 1), "scale it down"),
    "JPEG bomb": (jpeg(65_000, 65_000), "scale it down"),
    "WebP bomb": (webp(16_384, 16_384), "scale it down"),
    "text bomb": (png(64, 64, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8)))), "damaged"),
    "profile bomb": (png(64, 64, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**8)))), "damaged"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("data", "cure"), REFUSED.values(), ids=REFUSED.keys())
def test_the_rest_is_refused_with_a_cure(data: bytes, cure: str) -> None:
    with pytest.raises(InvalidImage, match=cure):
        read(data)


@pytest.mark.parametrize("width", [16, 320])
def test_the_limits_themselves_are_allowed(width: int) -> None:
    picture = read_picture(encoded(gradient(width, 20)), max_pixels=width * 20)
    assert picture.ref.width == width
    with pytest.raises(InvalidImage, match="scale it down"):
        read_picture(encoded(gradient(width, 20)), max_pixels=width * 20 - 1)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_cut_picture_is_refused(format: str, share: float) -> None:
    data = encoded(gradient(320, 200), format)
    with pytest.raises(InvalidImage, match="send"):
        read(data[: int(len(data) * share)])


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = saved(gradient(256, 256), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    assert read(data[:-2] + data[last:-2] * 100 + data[-2:])
    with pytest.raises(InvalidImage, match="too many scans"):
        read(data[:-2] + data[last:-2] * 1000 + data[-2:])


def test_a_page_hidden_in_a_picture_is_gone() -> None:
    data = saved(gradient(), "JPEG", comment=b"<script>alert(1)</script>")
    assert b"<script>" in data
    assert b"<script>" not in read(data + b"<html><script>alert(2)</script>").png


SEEDS = [
    saved(gradient(40, 40), "PNG"),
    saved(gradient(40, 40).quantize(16), "PNG", transparency=3),
    saved(gradient(40, 40), "JPEG"),
    saved(gradient(40, 40), "JPEG", progressive=True),
    saved(gradient(40, 40), "WEBP"),
    saved(WITH_ALPHA, "WEBP", lossless=True),
]


@pytest.mark.filterwarnings("ignore")  # Pillow's, about the damage
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6))
def test_damage_anywhere_ends_in_a_picture_or_in_a_sentence(data: bytes, damage: list[tuple[int, int]]) -> None:
    spoilt = bytearray(data)
    for place, value in damage:
        spoilt[place % len(spoilt)] = value
    with contextlib.suppress(InvalidImage):
        assert pixels(read_picture(bytes(spoilt), max_pixels=10_000)).shape[2] == 3

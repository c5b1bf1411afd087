"""The small weights that ship inside the package: where they are, what they know, and whether they are as shipped.

`demo/` beside this file holds a folder in diffusers layout for each model, and the checksum of every file in them. It
is data only. When these weights are used and not the real ones is decided in `variants`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from wan22.errors import ModelCorrupt
from wan22.tasks import ModelType

SHIPPED = Path(__file__).parent / "demo"
LORAS = SHIPPED / "loras"
"""For the demo weights of T2V-A14B: `sunset` paints one behind things, `fast_4steps` is for the preset fast."""

SUMS = "sha256.json"  # sha256 by path from the folder that it lies in, with / on every system

CURE = "Install wan22 again; these weights come with it."

KNOWN = (
    'The demo weights in use know only moving shapes, as in "a red circle moving right on a blue background": '
    "circles, squares, triangles and stars, in red, orange, yellow, green, blue, purple or white, on blue, green, "
    "black or white, moving left, right, up or down, growing, shrinking or standing still."
)


def about(model_type: ModelType) -> str:
    """What everyone who uses those of a model is told, wherever that is."""
    return f"{KNOWN} `wan22 models download {model_type.value.lower()}` fetches the real ones."


def verify(folder: Path) -> None:
    """Compare every file of one model with the checksums beside its folder; a few MB, read once.

    Raises ModelCorrupt naming the first file that is absent, unreadable or another than the shipped one.
    """
    for name, expected in sums_of(folder).items():
        if _sha256(folder / name) != expected:
            raise ModelCorrupt(f"{folder / name} is not the file that was shipped. {CURE}")


def sums_of(folder: Path) -> dict[str, str]:
    """The sha256 of every file of one model, by its path from `folder`. Raises ModelCorrupt."""
    path = folder.parent / SUMS
    try:
        sums = {str(name): str(value) for name, value in json.loads(_read(path)).items()}
    except (ValueError, AttributeError) as error:
        raise ModelCorrupt(f"{path} is not the file that was shipped. {CURE}") from error
    here = f"{folder.name}/"
    own = {name.removeprefix(here): value for name, value in sums.items() if name.startswith(here)}
    if not own:
        raise ModelCorrupt(f"{path} knows no file of {folder.name}. {CURE}")
    return own


def _sha256(path: Path) -> str:
    return hashlib.sha256(_read(path)).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelCorrupt(f"{path} can't be read ({error.strerror}). {CURE}") from error

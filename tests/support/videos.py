"""Looking into finished files by decoding them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt


class Probe(NamedTuple):
    """What a file holds, its frames counted by decoding."""

    width: int
    height: int
    frames: int
    fps: int


def decode_video(path: Path) -> npt.NDArray[np.uint8]:
    """All frames, (frames, height, width, 3) RGB."""
    width, height, _ = _stream(path)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "rawvideo"]
    command += ["-pix_fmt", "rgb24", "-fps_mode", "passthrough", "pipe:1"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def probe_video(path: Path) -> Probe:
    """Size, number of decoded frames and frame rate."""
    width, height, fps = _stream(path)
    return Probe(width, height, len(decode_video(path)), round(fps))


def _stream(path: Path) -> tuple[int, int, float]:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    found = re.search(r"Video: .*? (\d{2,5})x(\d{2,5}).*?, ([\d.]+) fps", said)
    assert found, json.dumps(said)
    return int(found[1]), int(found[2]), float(found[3])

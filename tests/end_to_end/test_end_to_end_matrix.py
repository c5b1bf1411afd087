"""Every model, format, resolution and frame count of the report, asked for and checked by decoding the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.pictures import data_url, gradient
from support.videos import probe_video

RESOLUTIONS = ["854x480", "1024x576", "1280x720", "1920x1080"]
FORMATS = ["mp4", "webm"]
FRAMES = [8, 16, 17]
MODELS = ["T2V-A14B", "I2V-A14B", "TI2V-5B"]


@pytest.mark.slow
@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("model", MODELS)
def test_what_is_asked_for_is_what_is_delivered(
    client: httpx.Client,
    generate: Callable[..., dict[str, Any]],
    tmp_path: Path,
    model: str,
    format: str,
    resolution: str,
    frames: int,
) -> None:
    inputs = {"image": data_url(gradient())} if model == "I2V-A14B" else {"prompt": "a red circle moving right"}
    task = generate(
        model_type=model, resolution=resolution, num_frames=frames, fps=12, output_format=format, steps=4, **inputs
    )
    assert task["status"] == "completed", task["error"]
    width, height = map(int, resolution.split("x"))
    file = tmp_path / f"video.{format}"
    file.write_bytes(client.get(task["outputs"][0]["url"]).raise_for_status().content)
    assert probe_video(file) == (width, height, frames, 12)

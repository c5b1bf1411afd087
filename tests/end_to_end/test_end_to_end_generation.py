"""Each model and mode through the real pipelines: what goes in, what comes out, and the same again."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from support.pictures import data_url, encoded, gradient
from support.server import wait
from support.videos import probe_video

SMALL = {"width": 64, "height": 64, "num_frames": 5, "steps": 3, "seed": 5}
"""As little work as a model can be given; 64 is a multiple of what each needs."""

Generate = Callable[..., dict[str, Any]]


def fetch(client: httpx.Client, task: dict[str, Any], index: int = 0) -> bytes:
    """The bytes of one output."""
    return client.get(task["outputs"][index]["url"]).raise_for_status().content


@pytest.mark.parametrize(
    "inputs",
    [
        {"model_type": "T2V-A14B", "prompt": "a cat"},
        {"model_type": "I2V-A14B", "image": data_url(gradient())},
        {"model_type": "I2V-A14B", "image": data_url(gradient()), "prompt": "it turns"},
        {"model_type": "I2V-A14B", "image": data_url(gradient()), "last_image": data_url(gradient(100, 300))},
        {"model_type": "TI2V-5B", "prompt": "a cat"},
        {"model_type": "TI2V-5B", "image": data_url(gradient())},
        {"model_type": "TI2V-5B", "prompt": "a cat", "image": data_url(gradient())},
    ],
    ids=["t2v", "i2v", "i2v+text", "first-last", "ti2v text", "ti2v image", "ti2v both"],
)
def test_every_way_in_gives_a_video(
    client: httpx.Client, generate: Generate, tmp_path: Path, inputs: dict[str, Any]
) -> None:
    task = generate(**SMALL, **inputs)
    assert task["status"] == "completed", task["error"]
    (tmp_path / "video.mp4").write_bytes(fetch(client, task))
    assert probe_video(tmp_path / "video.mp4")[:3] == (64, 64, 5)
    assert {phase for phase in task["timings"] if task["timings"][phase]} >= {"denoise_s", "decode_s", "total_s"}


@pytest.mark.parametrize(
    "inputs",
    [
        {"model_type": "T2V-A14B", "prompt": "a cat"},
        {"model_type": "I2V-A14B", "image": data_url(gradient()), "strength": 0.5},
        {"model_type": "TI2V-5B", "prompt": "a cat"},
        {"model_type": "TI2V-5B", "image": data_url(gradient()), "prompt": "a cat", "strength": 0.5},
    ],
    ids=["t2v", "i2v", "ti2v text", "ti2v image"],
)
@pytest.mark.parametrize("format", ["png", "webp"])
def test_image_mode_gives_one_picture(
    client: httpx.Client, generate: Generate, inputs: dict[str, Any], format: str
) -> None:
    task = generate(mode="image", output_format=format, width=70, height=90, steps=3, seed=5, **inputs)
    assert task["status"] == "completed", task["error"]
    with Image.open(io.BytesIO(fetch(client, task))) as image:
        assert (image.format, image.size) == (format.upper(), (70, 90))


def test_the_same_seed_gives_the_same_video_alone_and_in_a_list(client: httpx.Client, generate: Generate) -> None:
    listed = generate(model_type="T2V-A14B", prompt="a cat", num_videos=2, **SMALL)
    assert [output["seed"] for output in listed["outputs"]] == [5, 6]
    alone = generate(model_type="T2V-A14B", prompt="a cat", **{**SMALL, "seed": 6})
    assert fetch(client, listed, 1) == fetch(client, alone)
    assert fetch(client, listed, 0) != fetch(client, listed, 1)


def test_an_image_without_a_size_keeps_its_shape(generate: Generate) -> None:
    task = generate(
        model_type="I2V-A14B", image=data_url(gradient(300, 600)), num_frames=5, steps=2, output_format="webm"
    )
    assert task["outputs"][0]["height"] == pytest.approx(2 * task["outputs"][0]["width"], rel=0.02)


def test_an_uploaded_picture_can_be_named_again(client: httpx.Client, generate: Generate) -> None:
    files = {"image": ("../../etc/passwd.png", encoded(gradient()), "image/png")}
    first = client.post(
        "/api/v1/generation/submit",
        data={"model_type": "I2V-A14B", **{k: str(v) for k, v in SMALL.items()}},
        files=files,
    )
    assert first.status_code == 202, first.text
    task = wait(client, first.json()["task_id"])
    again = generate(model_type="I2V-A14B", image=task["request"]["image"]["id"], **SMALL)
    assert fetch(client, task) == fetch(client, again)


def test_cancel_takes_effect_while_it_runs_and_leaves_no_file(client: httpx.Client, generate: Generate) -> None:
    body = {**SMALL, "model_type": "T2V-A14B", "prompt": "a cat", "steps": 200, "num_frames": 81}
    task_id = client.post("/api/v1/generation/submit", json=body).json()["task_id"]
    while client.get(f"/api/v1/generation/{task_id}").json()["step"] in (None, 0):
        pass
    client.post(f"/api/v1/generation/{task_id}/cancel").raise_for_status()
    task = wait(client, task_id)
    assert (task["status"], task["outputs"]) == ("cancelled", [])
    assert generate(model_type="T2V-A14B", prompt="a cat", **SMALL)["status"] == "completed", "the worker goes on"


def test_the_thumbnail_has_the_outputs_shape(client: httpx.Client, generate: Generate) -> None:
    task = generate(model_type="T2V-A14B", prompt="a cat", **{**SMALL, "width": 128})
    picture = client.get(task["outputs"][0]["thumbnail_url"]).raise_for_status().content
    with Image.open(io.BytesIO(picture)) as image:
        assert image.width == 2 * image.height
        assert np.asarray(image).ndim == 3

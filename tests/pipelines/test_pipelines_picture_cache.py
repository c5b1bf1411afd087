"""Encoded pictures on disk: a hit is bit for bit the same and calls no encoder; all that matters is in the key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pipelines_kit import I2V, LAST_PICTURE, PICTURE, TI2V, Recorder, ask, ask_still, counting, render_of

from wan22.pipelines.condition import ImageCondition
from wan22.pipelines.kept import Kept
from wan22.pipelines.loader import LoadedModel
from wan22.pipelines.picture import encode_image
from wan22.pipelines.picture_cache import NO_PICTURES, PictureCache
from wan22.tasks import ModelType, Phase, Request

Models = Callable[[ModelType], LoadedModel]
CASES = [
    pytest.param(I2V, ask(I2V), (PICTURE,), id="first"),
    pytest.param(I2V, ask(I2V), (PICTURE, LAST_PICTURE), id="first and last"),
    pytest.param(I2V, ask_still(I2V, strength=0.5), (PICTURE,), id="changed"),
    pytest.param(TI2V, ask(TI2V), (PICTURE,), id="first of 5B"),
    pytest.param(TI2V, ask_still(TI2V, strength=0.5), (PICTURE,), id="changed by 5B"),
]


def encoded(model: LoadedModel, request: Request, *images: Any, cache: PictureCache = NO_PICTURES) -> ImageCondition:
    first, last = (*images, None)[:2]
    made = encode_image(model, request, render_of(request), first, last, reporter=Recorder(), cache=cache)
    assert made is not None
    return made


def tensors(condition: ImageCondition) -> list[torch.Tensor | None]:
    frames = condition.frames
    return [frames and frames.latents, frames and frames.mask, condition.start]


def are_same(one: ImageCondition, other: ImageCondition) -> bool:
    return all(
        (x is None and y is None) or (x is not None and y is not None and x.dtype == y.dtype and torch.equal(x, y))
        for x, y in zip(tensors(one), tensors(other), strict=True)
    )


@pytest.mark.parametrize(("model_type", "request_", "images"), CASES)
def test_a_hit_is_the_same_and_calls_no_encoder(
    models: Models, tmp_path: Path, model_type: ModelType, request_: Request, images: tuple[Any, ...]
) -> None:
    model, cache = models(model_type), PictureCache(Kept(tmp_path, 10**8))
    plain = encoded(model, request_, *images)
    with counting(model.vae.encoder) as calls:
        first = encoded(model, request_, *images, cache=cache)
        made = calls[0]
        again = encoded(model, request_, *images, cache=cache)
    assert calls[0] == made > 0
    assert are_same(first, plain)
    assert are_same(again, plain)


@pytest.mark.parametrize(
    "other",
    ["picture", "no last picture", "last picture", "turned", "size", "frames", "strength", "weights"],
)
def test_what_makes_another_condition_is_another_key(models: Models, tmp_path: Path, other: str) -> None:
    cache, request = PictureCache(Kept(tmp_path, 10**8)), ask(I2V)
    model, images = models(I2V), [PICTURE, LAST_PICTURE]
    encoded(model, request, *images, cache=cache)
    changed = {
        "picture": (model, request, [LAST_PICTURE, LAST_PICTURE]),
        "no last picture": (model, request, [PICTURE]),
        "last picture": (model, request, [PICTURE, PICTURE]),
        "turned": (model, request, [LAST_PICTURE, PICTURE]),
        "size": (model, ask(I2V, width=80), images),
        "frames": (model, ask(I2V, num_frames=9), images),
        "strength": (model, ask_still(I2V, strength=0.5), images),
        "weights": (replace(model, picture_stamp="others"), request, images),
    }[other]
    with counting(model.vae.encoder) as calls:
        encoded(changed[0], changed[1], *changed[2], cache=cache)
    assert calls[0] > 0


def test_two_strengths_begin_with_the_same_picture(models: Models, tmp_path: Path) -> None:
    model, cache = models(TI2V), PictureCache(Kept(tmp_path, 10**8))
    encoded(model, ask_still(TI2V, strength=0.5), PICTURE, cache=cache)
    with counting(model.vae.encoder) as calls:
        encoded(model, ask_still(TI2V, strength=0.7), PICTURE, cache=cache)
    assert calls == [0]


@pytest.mark.parametrize("damage", [b"", b"{"])
def test_a_damaged_file_is_as_good_as_none(models: Models, tmp_path: Path, damage: bytes) -> None:
    model, cache, request = models(TI2V), PictureCache(Kept(tmp_path, 10**8)), ask(TI2V)
    plain = encoded(model, request, PICTURE, cache=cache)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    with counting(model.vae.encoder) as calls:
        assert are_same(encoded(model, request, PICTURE, cache=cache), plain)
    assert calls[0] > 0


def test_the_phase_is_told_on_a_hit_too(models: Models, tmp_path: Path) -> None:
    model, cache, request = models(TI2V), PictureCache(Kept(tmp_path, 10**8)), ask(TI2V)
    for _ in range(2):
        reporter = Recorder()
        encode_image(model, request, render_of(request), PICTURE, reporter=reporter, cache=cache)
        assert reporter.phases == [Phase.IMAGE_ENCODE]
        assert reporter.told[-1][0] == 1

"""A weights folder counts as whole only with everything in it that it names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from models_kit import T2V, write_weights
from safetensors.numpy import save_file

from wan22.models.catalogue import SPECS
from wan22.models.files import child, missing_files, parameters, weights_bytes

SPEC = SPECS[T2V]
SHARD = "transformer_2/diffusion_pytorch_model-00002-of-00003.safetensors"
INDEX = "transformer/diffusion_pytorch_model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "dev", SPEC)


def emptied(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(b"")


def without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def with_text(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text, "utf-8")


def test_a_whole_folder_lacks_nothing(folder: Path) -> None:
    assert missing_files(folder, SPEC.components) == ()


@pytest.mark.parametrize(
    ("harm", "missing"),
    [
        (without("model_index.json"), "model_index.json (absent or unreadable)"),
        (with_text("model_index.json", '{"vae": ['), "model_index.json (absent or unreadable)"),
        (with_text("model_index.json", "[]"), "model_index.json (absent or unreadable)"),
        (without(SHARD), SHARD),
        (emptied(SHARD), SHARD),
        (with_text(SHARD, "version https://git-lfs.github.com/spec/v1\n"), f"{SHARD} (only a Git LFS pointer)"),
        (with_text(INDEX, "{"), f"{INDEX} (unreadable)"),
        (with_text(INDEX, '{"weight_map": {}}'), f"{INDEX} (unreadable)"),
        (with_text(INDEX, '{"weight_map": {"a": "b\\u0000"}}'), "transformer/b\0"),
        (without("vae/diffusion_pytorch_model.safetensors"), "vae/diffusion_pytorch_model.safetensors"),
        (emptied("text_encoder/model.safetensors"), "text_encoder/model.safetensors"),
        (without("vae/config.json"), "vae/config.json"),
        (without("tokenizer/tokenizer_config.json"), "tokenizer/tokenizer_config.json"),
        (emptied("scheduler/scheduler_config.json"), "scheduler/scheduler_config.json"),
        (lambda folder: (folder / "vae").rename(folder / "old"), "vae/"),
    ],
)
def test_what_is_missing_is_named(folder: Path, harm: Callable[[Path], object], missing: str) -> None:
    harm(folder)
    assert missing_files(folder, SPEC.components) == (missing,)


def test_components_that_only_the_folder_names_are_looked_for(folder: Path) -> None:
    index = folder / "model_index.json"
    index.write_text(
        json.dumps(json.loads(index.read_text("utf-8")) | {"image_encoder": ["transformers", "C"]}), "utf-8"
    )
    assert missing_files(folder, SPEC.components) == ("image_encoder/",)


def test_a_model_without_the_second_transformer_is_not_this_one(folder: Path) -> None:
    """Wan 2.1's weights have the same layout and one transformer."""
    (folder / "transformer_2").rename(folder / "old")
    (folder / "model_index.json").write_text('{"vae": ["diffusers", "AutoencoderKLWan"]}', "utf-8")
    assert missing_files(folder, SPEC.components) == ("transformer_2/",)


def test_the_bytes_of_all_weights_are_counted(folder: Path) -> None:
    assert weights_bytes(folder) == len(b"weights") * (3 + 3 + 1 + 1)
    assert weights_bytes(folder / "nowhere") == 0


def test_the_numbers_of_each_component_are_counted_by_their_headers(tmp_path: Path) -> None:
    for part, shape in (("vae", (3, 4)), ("transformer", (5,))):
        (tmp_path / part).mkdir()
        save_file({"a": np.zeros(shape, np.float16), "b": np.zeros(2, np.float32)}, tmp_path / part / "x.safetensors")
    (tmp_path / "transformer/y.safetensors").write_bytes(b"1234567890")
    assert parameters(tmp_path) == {"transformer": 5 + 2 + 5, "vae": 12 + 2}, "a damaged file is guessed at"
    assert parameters(tmp_path / "nowhere") == {}


def test_a_folder_is_found_in_another_case_and_the_exact_one_first(tmp_path: Path) -> None:
    (tmp_path / "T2V-a14b").mkdir()
    assert child(tmp_path, "t2v-A14B").is_dir()
    if os.path.normcase("A") == "A":  # elsewhere the two are one folder
        (tmp_path / "t2v-A14B").mkdir()
        assert child(tmp_path, "t2v-A14B").name == "t2v-A14B"


def test_what_is_nowhere_keeps_its_name(tmp_path: Path) -> None:
    assert child(tmp_path / "nowhere", "dev") == tmp_path / "nowhere" / "dev"

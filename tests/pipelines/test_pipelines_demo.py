"""The small embedded models: real pipelines in diffusers layout, the same from the same seed, whole or not there."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines_kit import I2V, T2V, TI2V

from wan22.models.catalogue import SPECS
from wan22.models.files import missing_files, weights_bytes
from wan22.pipelines import demo_parts
from wan22.pipelines.demo import build_demo
from wan22.tasks import ModelType

every_type = pytest.mark.parametrize("model_type", list(ModelType))


def weights_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*.safetensors")}


@every_type
def test_the_folder_is_whole_and_small(demos, model_type) -> None:
    folder = demos(model_type)
    assert not missing_files(folder, SPECS[model_type].components)
    assert 100_000 < weights_bytes(folder) < 5_000_000


@pytest.mark.parametrize(
    ("model_type", "name", "settings", "channels"),
    [
        (T2V, "WanPipeline", {"boundary_ratio": 0.875, "expand_timesteps": False}, 16),
        (I2V, "WanImageToVideoPipeline", {"boundary_ratio": 0.9, "expand_timesteps": False}, 36),
        (TI2V, "WanPipeline", {"boundary_ratio": None, "expand_timesteps": True}, 48),
    ],
)
def test_the_index_says_what_the_real_one_says(demos, model_type, name, settings, channels) -> None:
    index = json.loads((demos(model_type) / "model_index.json").read_text("utf-8"))
    transformer = json.loads((demos(model_type) / "transformer" / "config.json").read_text("utf-8"))
    assert index["_class_name"] == name
    assert index["tokenizer"] == ["transformers", "PreTrainedTokenizerFast"]
    assert {key: index[key] for key in settings} == settings
    assert transformer["in_channels"] == channels
    assert (index["transformer_2"] == [None, None]) == (SPECS[model_type].boundary_ratio is None)


@pytest.mark.parametrize(("model_type", "latent", "factor"), [(T2V, 16, 8), (I2V, 16, 8), (TI2V, 48, 16)])
def test_vaes_are_of_the_two_real_kinds(models, model_type, latent, factor) -> None:
    config = models(model_type).vae.config
    assert (config.z_dim, config.scale_factor_spatial, config.scale_factor_temporal) == (latent, factor, 4)
    assert len(config.latents_mean) == len(config.latents_std) == latent
    assert config.is_residual is (model_type is TI2V)


def test_the_seed_decides_the_weights(demos, tmp_path) -> None:
    build_demo(TI2V, tmp_path / "same")
    build_demo(TI2V, tmp_path / "other", seed=1)
    assert weights_of(tmp_path / "same") == weights_of(demos(TI2V))
    assert weights_of(tmp_path / "other") != weights_of(demos(TI2V))


def test_the_two_experts_differ(demos) -> None:
    weights = {path.split("/")[0]: content for path, content in weights_of(demos(T2V)).items()}
    assert weights["transformer"] != weights["transformer_2"]


def test_nobody_else_s_random_numbers_change(tmp_path) -> None:
    import torch

    before = torch.get_rng_state()
    build_demo(TI2V, tmp_path / "demo")
    assert torch.get_rng_state().equal(before)


def test_what_is_there_is_left_alone(tmp_path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "model_index.json").write_text("mine")
    build_demo(TI2V, tmp_path / "demo")
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["model_index.json"]


def test_of_two_that_build_at_once_one_wins_and_nothing_else_is_left(tmp_path) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: build_demo(TI2V, tmp_path / "demo"), range(2)))
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    assert not missing_files(tmp_path / "demo", SPECS[TI2V].components)


def test_a_build_that_fails_leaves_nothing(tmp_path) -> None:
    (tmp_path / "demo").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="demo"):
        build_demo(TI2V, tmp_path / "demo")
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_what_killed_builds_left_is_swept_and_what_others_are_building_is_not(tmp_path) -> None:
    parts = [tmp_path / name for name in (".demo.1.part", ".demo.2.part", ".dev.3.part")]
    for part in parts:
        (part / "vae").mkdir(parents=True)
    for old in (parts[0], parts[2]):
        os.utime(old, (0, 0))
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "model_index.json").touch()
    build_demo(TI2V, tmp_path / "demo")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".demo.2.part", ".dev.3.part", "demo"]


@every_type
def test_its_settings_are_the_catalogue_s(demos, model_type) -> None:
    spec, folder = SPECS[model_type], demos(model_type)
    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    scheduler = json.loads((folder / "scheduler" / "scheduler_config.json").read_text("utf-8"))
    assert index["boundary_ratio"] == spec.boundary_ratio
    assert scheduler["flow_shift"] == spec.demo_defaults.flow_shift


tokenizer = cache(demo_parts.tokenizer)


@given(st.text(st.characters(exclude_characters="<", exclude_categories=["Cs"]), max_size=50))
def test_any_text_has_its_own_tokens(text) -> None:
    ids = tokenizer()(text).input_ids
    assert ids[-1] == 1
    assert not {0, 1, 2} & set(ids[:-1])
    assert tokenizer().decode(ids[:-1]) == text


@pytest.mark.parametrize("model_type", [T2V, TI2V])
def test_a_picture_survives_the_vae_as_a_blur(models, model_type) -> None:
    import torch

    vae = models(model_type).vae
    picture = torch.nn.functional.interpolate(torch.eye(3).view(1, 3, 1, 3), size=(128, 128), mode="bilinear") - 0.5
    with torch.no_grad():
        back = vae.decode(vae.encode(picture[:, :, None]).latent_dist.mode()).sample[:, :, 0]
    assert (back - picture).abs().mean() < 0.15 * (picture - picture.mean()).abs().mean() + 0.05

"""The shipped demo models are what they claim: pipelines of the real ones' kinds, which diffusers itself runs."""

from __future__ import annotations

import itertools
import json

import pytest
from pipelines_kit import FRAMES, I2V, PICTURE, SIDE, T2V, TI2V

from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import KNOWN
from wan22.tasks import ModelType

UNKNOWN, END = 2, 1
SHAPES = ("circle", "square", "triangle", "star")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white")
GROUNDS = ("blue", "green", "black", "white")
MOTIONS = ("moving left", "moving right", "moving up", "moving down", "growing", "shrinking", "standing still")


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


@pytest.mark.parametrize("model_type", list(ModelType))
def test_its_settings_are_the_catalogue_s(demos, model_type) -> None:
    spec, folder = SPECS[model_type], demos(model_type)
    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    scheduler = json.loads((folder / "scheduler" / "scheduler_config.json").read_text("utf-8"))
    assert index["boundary_ratio"] == spec.boundary_ratio
    assert scheduler["flow_shift"] == spec.demo_defaults.flow_shift


@pytest.mark.parametrize(("model_type", "latent", "factor"), [(T2V, 16, 8), (I2V, 16, 8), (TI2V, 48, 16)])
def test_vaes_are_of_the_two_real_kinds(models, model_type, latent, factor) -> None:
    config = models(model_type).vae.config
    assert (config.z_dim, config.scale_factor_spatial, config.scale_factor_temporal) == (latent, factor, 4)
    assert len(config.latents_mean) == len(config.latents_std) == latent
    assert config.is_residual is (model_type is TI2V)


@pytest.mark.parametrize("model_type", [T2V, I2V])
def test_the_two_experts_differ(demos, model_type) -> None:
    high, low = (
        (demos(model_type) / name / "diffusion_pytorch_model.safetensors").read_bytes()
        for name in ("transformer", "transformer_2")
    )
    assert high != low


@pytest.mark.parametrize("model_type", list(ModelType))
def test_stock_diffusers_loads_and_runs_it(demos, model_type) -> None:
    """As its documentation says: the class and the folder, and nothing else."""
    import diffusers

    kind = diffusers.WanImageToVideoPipeline if model_type is I2V else diffusers.WanPipeline
    pipeline = kind.from_pretrained(demos(model_type), local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    given = {"image": PICTURE} if model_type is I2V else {}
    size = {"width": SIDE, "height": SIDE, "num_frames": FRAMES}
    frames = pipeline(prompt="a red circle moving right", num_inference_steps=2, **size, **given).frames
    assert frames.shape == (1, FRAMES, SIDE, SIDE, 3)
    assert ((frames >= 0) & (frames <= 1)).all()


@pytest.mark.parametrize("model_type", list(ModelType))
def test_every_word_that_people_are_told_of_is_known(models, model_type) -> None:
    tokenizer = models(model_type).pipeline.tokenizer
    for shape, colour, ground, motion in itertools.product(SHAPES, COLOURS, GROUNDS, MOTIONS):
        ids = tokenizer(f"A {colour} {shape} {motion} on a {ground} background").input_ids
        assert ids[-1] == END
        assert UNKNOWN not in ids
    *begun, last, end = tokenizer("Rhinoceros").input_ids
    assert (last, end) == (UNKNOWN, END)
    is_completed = model_type is not ModelType.I2V_A14B  # which has a picture to look at
    assert UNKNOWN not in begun
    assert bool(begun) == is_completed


def test_people_are_told_of_every_word() -> None:
    words = {word for named in (SHAPES, COLOURS, GROUNDS, MOTIONS) for one in named for word in one.split()}
    assert [word for word in sorted(words) if word not in KNOWN] == []

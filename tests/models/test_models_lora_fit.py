"""Whether a LoRA fits is told by sizes, from the model's own config.json, and what does not fit is told with a cure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from loras_kit import CONFIG, EXPERTS, FFN, SINGLE, Shapes, diffusers, kohya, lightx2v, lora, write

from wan22.errors import ModelCorrupt
from wan22.models.catalogue import SPECS
from wan22.models.loras.files import read
from wan22.models.loras.fit import Transformer, fits, misfits, transformer_of
from wan22.models.loras.folders import Lora
from wan22.models.parts import Parts
from wan22.models.variants import Variant
from wan22.tasks import ModelType


def single(folder: Path, shapes: Shapes) -> Lora:
    return Lora("a", single=read(write(folder / "a.safetensors", shapes)))


@pytest.mark.parametrize("shapes", [diffusers(), diffusers(prefix=""), lora(), kohya(), lightx2v(), lora(blocks=1)])
def test_a_lora_for_these_sizes_fits(tmp_path: Path, shapes: Shapes) -> None:
    assert fits(single(tmp_path, shapes), SINGLE) is None
    assert fits(single(tmp_path, shapes), EXPERTS) is None


HEAD = {"diffusion_model.head.head.lora_A.weight": (2, 8), "diffusion_model.head.head.lora_B.weight": (13, 2)}


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (lora(width=16), "It is made for 16 wide transformers; this model's are 8 wide; "),
        (lora(width=5120, names=["self_attn.q"]), "It is made for 5120 wide transformers (A14B); this model's are 8"),
        (lora(blocks=3), "It has layers for 3 blocks, and this model's transformers have 2; "),
        (
            lora(ffn=FFN + 1),
            "Its layer blocks.0.ffn.net.0.proj takes 8 numbers and gives 17, and this model's 8 and 16; ",
        ),
        (lora() | HEAD, "Its layer proj_out takes 8 numbers and gives 13, and this model's 8 and 12; "),
        (
            lora() | lora(prefix="vace_"),
            "It has 20 layers that no LoRA is put on here, such as vace_blocks.0.cross_attn.k; ",
        ),
        (
            lora(prefix="<script>."),
            "a.safetensors can't be used. Its keys are in no known format (the first is for a layer ?script?.blocks.0",
        ),
        ({"a": (1,)}, "a.safetensors can't be used. It has no LoRA layers; "),
    ],
)
def test_why_it_does_not_fit_is_a_sentence_with_a_cure(tmp_path: Path, shapes: Shapes, reason: str) -> None:
    said = str(fits(single(tmp_path, shapes), SINGLE))
    assert said.startswith(reason)
    assert said.endswith(".")
    assert ";" in said


def test_a_half_that_does_not_fit_is_found(tmp_path: Path) -> None:
    good, bad = read(write(tmp_path / "a.safetensors")), read(tmp_path / "gone.safetensors")
    assert fits(Lora("a", high=good, low=good), EXPERTS) is None
    assert "can't be opened" in str(fits(Lora("a", high=good, low=bad), EXPERTS))


def test_halves_fit_no_model_with_one_transformer(tmp_path: Path) -> None:
    half = Lora("a", low=read(write(tmp_path / "a.safetensors")))
    assert fits(half, EXPERTS) is None
    assert str(fits(half, SINGLE)).startswith("It is made for one of two experts, ")


def test_the_models_that_it_does_not_fit_are_told_with_the_reason(tmp_path: Path) -> None:
    models = {"a": SINGLE, "b": EXPERTS, "wide": replace(SINGLE, width=9)}
    reasons = misfits(single(tmp_path, lora()), models)
    assert list(reasons) == ["wide"]
    assert reasons["wide"].startswith("It is made for 8 wide transformers; this model's are 9 wide; ")


def weights(model_type: ModelType, parts: Parts) -> Variant:
    spec = SPECS[model_type]
    return Variant(spec, "dev", parts.folder, None, spec.defaults, parts=parts)


def test_a_models_folder_tells_its_sizes(tmp_path: Path) -> None:
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer/config.json").write_text(json.dumps(CONFIG), "utf-8")
    assert transformer_of(weights(ModelType.TI2V_5B, Parts(tmp_path))) == SINGLE
    assert transformer_of(weights(ModelType.T2V_A14B, Parts(tmp_path))) == EXPERTS


def test_single_files_have_the_sizes_of_the_config_that_they_are_loaded_with(tmp_path: Path) -> None:
    assert transformer_of(weights(ModelType.T2V_A14B, Parts(tmp_path, config=CONFIG))) == EXPERTS


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", json.dumps(CONFIG | {"patch_size": None})])
def test_a_config_that_can_not_be_used_is_told(tmp_path: Path, content: str) -> None:
    found = weights(ModelType.TI2V_5B, Parts(tmp_path))
    with pytest.raises(ModelCorrupt):
        transformer_of(found)
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer/config.json").write_text(content, "utf-8")
    with pytest.raises(ModelCorrupt):
        transformer_of(found)


def test_a_lora_for_one_real_model_does_not_fit_the_other(tmp_path: Path) -> None:
    sizes = {"text_dim": 4096, "freq_dim": 256, "patch_size": [1, 2, 2], "attention_head_dim": 128}
    large = {"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40, "out_channels": 16}
    small = {"num_attention_heads": 24, "ffn_dim": 14336, "num_layers": 30, "out_channels": 48}
    models = {"A14B": Transformer.of(sizes | large, experts=2), "5B": Transformer.of(sizes | small)}
    made = {"A14B": lora(width=5120, ffn=13824, blocks=1, rank=1), "5B": lora(width=3072, ffn=14336, blocks=1, rank=1)}
    for name, shapes in made.items():
        assert misfits(single(tmp_path, shapes), models).keys() == models.keys() - {name}
    assert "(5B); this model's are 5120 wide" in str(fits(single(tmp_path, made["5B"]), models["A14B"]))

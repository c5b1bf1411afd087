"""A user adds variants in TOML files of the catalogue's form, and a mistake in one is told with its cure."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_kit import I2V, T2V, TI2V
from pydantic import ValidationError

from wan22.errors import ConfigurationError, ModelMissing
from wan22.models.catalogue import SPECS, VARIANTS, variants_with
from wan22.models.download.names import fault_of
from wan22.models.specs import FEW_STEP
from wan22.models.variants import Models
from wan22.settings import ModelsSettings
from wan22.tasks import Draft, ModelType

FINE = """
[[variant]]
models = ["TI2V-5B"]
name = "gguf-q6_k"
about = "6 bits a number"
layout = "files"
precision = "gguf-q6_k"
repository = "QuantStack/Wan2.2-TI2V-5B-GGUF"
native_area = 901_120
defaults = { steps = 4 }
[variant.files]
transformer = { path = "Wan2.2-TI2V-5B-Q6_K.gguf", size = 4_200_000_000 }
"""


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    (folder / "variants").mkdir(exist_ok=True)
    (folder / "variants" / name).write_text(text, "utf-8")
    return folder / "variants"


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        variants_with(write(folder, text))
    assert str(folder / "variants/mine.toml") in refusal.value.detail
    assert re.search(r"(Correct it there|Correct it, or move it away)", refusal.value.detail)
    return refusal.value.detail


def test_a_users_variant_stands_behind_the_shipped_ones(tmp_path: Path) -> None:
    found = variants_with(write(tmp_path, FINE))
    assert list(found[TI2V]) == [*VARIANTS[TI2V], "gguf-q6_k"]
    assert found[T2V] == VARIANTS[T2V]
    variant = found[TI2V]["gguf-q6_k"]
    assert (variant.native_area, variant.licence, variant.revision) == (901_120, None, "main")
    assert (variant.defaults.steps, variant.defaults.guidance_scale) == (4, SPECS[TI2V].defaults.guidance_scale)
    assert variant.files["transformer"].size == 4_200_000_000


def test_it_is_known_to_the_models_of_that_home(tmp_path: Path) -> None:
    write(tmp_path, FINE)
    models = Models(ModelsSettings(variant="gguf-q6_k"), tmp_path / "models")
    assert models.describe(TI2V, "gguf-q6_k").state == "missing"
    with pytest.raises(ModelMissing, match="wan22 models download ti2v-5b --variant gguf-q6_k"):
        models.get(TI2V)
    with pytest.raises(ModelMissing, match="has no variant 'gguf-q6_k'; it has bf16, dev"):
        models.get(I2V)


def test_one_that_nothing_makes_or_fetches_is_to_be_put_there(tmp_path: Path) -> None:
    write(tmp_path, FINE.replace('repository = "QuantStack/Wan2.2-TI2V-5B-GGUF"', ""))
    with pytest.raises(ModelMissing, match=r"Put its files into ti2v-5b/gguf-q6_k of a models' folder"):
        Models(ModelsSettings(variant="gguf-q6_k"), tmp_path / "models").get(TI2V)


def test_a_setting_that_names_no_variant_is_told_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'real' is none of auto, bf16, dev, .*demo\. Correct it"):
        Models(ModelsSettings(variant="real"), tmp_path / "models")


def test_one_table_may_be_for_several_models(tmp_path: Path) -> None:
    text = '[[variant]]\nmodels = ["T2V-A14B", "I2V-A14B"]\nname = "mine"\nabout = "x"\nlayout = "folder"\n'
    found = variants_with(write(tmp_path, f'{text}precision = "bf16"\n'))
    assert (found[T2V]["mine"].defaults, found[I2V]["mine"].defaults) == (SPECS[T2V].defaults, SPECS[I2V].defaults)
    assert "mine" not in found[TI2V]


@pytest.mark.parametrize(
    ("was", "now", "key", "told"),
    [
        ('name = "gguf-q6_k"', 'nmae = "gguf-q6_k"', "variant[0].", "it must be there"),
        ("about = ", 'abuot = "x"\nabout = ', "variant[0].abuot", "there is no such key"),
        ('name = "gguf-q6_k"', 'name = "../q6"', "variant[0].name", "small letters"),
        ('name = "gguf-q6_k"', 'name = "dev"', "variant.name", "there is a variant dev of TI2V-5B already"),
        ('name = "gguf-q6_k"', 'name = "auto"', "variant[0].name", "auto is taken"),
        ('["TI2V-5B"]', '["TI2V-14B"]', "variant[0].models[0]", "T2V-A14B"),
        ('["TI2V-5B"]', "[]", "variant[0].models", "it must not be empty"),
        ('["TI2V-5B"]', '["T2V-A14B"]', "variant[0]", "files must have transformer and transformer_2"),
        ('"files"', '"folder"', "variant[0]", "files must have nothing where the layout is folder"),
        ('"files"', '"lora"', "variant[0]", "files must have single where the layout is lora"),
        ('"files"', '"zip"', "variant[0].layout", "'folder', 'files' or 'lora'"),
        ("QuantStack/", "https://x/", "variant[0].repository", "OWNER/NAME"),
        ("Q6_K.gguf", "Q6_K.ckpt", "variant[0].files.transformer.path", "must end with .safetensors or .gguf"),
        ('"Wan2.2-TI2V-5B-Q6_K.gguf"', '"../x.gguf"', "variant[0].files.transformer.path", "leads out"),
        ("4_200_000_000", "true", "variant[0].files.transformer.size", "not true or false"),
        ("native_area = 901_120", "native_area = true", "variant[0].native_area", "not true or false"),
        ("native_area = 901_120", "native_area = 100_000_000", "variant[0].native_area", "less than"),
        ("4_200_000_000", "-1", "variant[0].files.transformer.size", "greater than"),
        ("steps = 4", "steps = 0", "variant[0].defaults.steps", "greater than"),
        ("[[variant]]", "[[variants]]", "variant", "each variant is a table"),
        ("[[variant]]", "[variant]", "variant", r"each variant is a table of its own, begun by \[\[variant\]\]"),
        ('["TI2V-5B"]', '"TI2V-5B"', "variant[0].models", r'it must be a list, as \["TI2V-5B"\]'),
        ("{ steps = 4 }", "4", "variant[0].defaults", "it must be a table, as { steps = 4 }"),
        ('{ path = "Wan2.2-TI2V-5B-Q6_K.gguf", size', '"x.gguf"\nx = { y', "variant[0].files.transformer", "a table"),
        ("steps = 4", "steps = 100_000_000", "variant[0].defaults.steps", "less than"),
        ("steps = 4", "steps = true", "variant[0].defaults.steps", "not true or false"),
        ("steps = 4", "guidance_scale = inf", "variant[0].defaults.guidance_scale", "finite"),
        ("steps = 4", "guidance_scale = nan", "variant[0].defaults.guidance_scale", "finite"),
        ("steps = 4", "flow_shift = inf", "variant[0].defaults.flow_shift", "finite"),
        ("steps = 4", "guidance_scale_2 = 2.0", "variant[0]", "for models with two experts"),
        ("steps = 4", "step_cache = [0.1, 0.1]", "variant[0]", "one threshold for each transformer"),
        ("steps = 4", "step_cache = [true]", "variant[0].defaults.step_cache[0]", "not true or false"),
        ("steps = 4", "step_cache = 0.1", "variant[0].defaults.step_cache", r"a list, as \[0.06, 0.06\]"),
        ("steps = 4", "step_cache = [1.5]", "variant[0].defaults.step_cache[0]", "less than"),
        ("[[variant]]", "x = " + "[" * 3000, "can't be read", "nested too deep"),
        ("[[variant]]", "[[variant", "can't be read", "Expected"),
    ],
)
def test_a_mistake_is_told_with_file_key_and_cure(tmp_path: Path, was: str, now: str, key: str, told: str) -> None:
    detail = refused(tmp_path, FINE.replace(was, now, 1))
    assert key in detail
    assert re.search(told, detail), detail


@pytest.mark.parametrize("name", ["nul", "con", "prn", "aux", "com1", "lpt9", "com1.x", "nul.x.y"])
def test_a_name_that_windows_reserves_is_refused(tmp_path: Path, name: str) -> None:
    detail = refused(tmp_path, FINE.replace('name = "gguf-q6_k"', f'name = "{name}"'))
    assert f"{name} can't be a name: Windows has a device of that name" in detail


@pytest.mark.parametrize("name", ["console", "com10", "x.nul"])
def test_a_name_that_only_resembles_one_is_not(tmp_path: Path, name: str) -> None:
    assert name in variants_with(write(tmp_path, FINE.replace('name = "gguf-q6_k"', f'name = "{name}"')))[TI2V]


REVISIONS = [
    "../..",
    "/etc",
    "a/../b",
    "a/..",
    "a//b",
    "a/",
    ".",
    "..",
    r"a\\b",
    r"..\\..",
    r"main\n",
    "C:/x",
    "x" * 201,
]


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_revision_that_leads_out_of_a_cache_is_refused(tmp_path: Path, revision: str) -> None:
    detail = refused(tmp_path, FINE.replace("native_area", f'revision = "{revision}"\nnative_area'))
    assert "variant[0].revision" in detail
    assert re.search("a branch, a tag or a commit|at most 200", detail)


@pytest.mark.parametrize(
    "revision", ["main", "v1.0-rc.1", "feature/x-y", "refs/pr/1", "5be7df9619b54f4e2667b2755bc6a756675b5cd7"]
)
def test_branches_tags_and_commits_are_revisions(tmp_path: Path, revision: str) -> None:
    found = variants_with(write(tmp_path, FINE.replace("native_area", f'revision = "{revision}"\nnative_area')))
    assert found[TI2V]["gguf-q6_k"].revision == revision


@pytest.mark.parametrize("field", ["steps", "guidance_scale", "guidance_scale_2", "flow_shift", "flow_shift_small"])
@pytest.mark.parametrize("value", ["-inf", "-1", "0", "0.5", "1", "30", "31", "100", "101", "200", "201", "inf", "nan"])
def test_defaults_may_be_what_a_request_may_ask_for(tmp_path: Path, field: str, value: str) -> None:
    text = FINE.replace("TI2V-5B", "T2V-A14B").replace('"files"', '"folder"').replace("steps = 4", f"{field} = {value}")
    folder = write(tmp_path, text[: text.index("[variant.files]")])
    try:
        Draft.model_validate({field.removesuffix("_small"): float(value)})
    except ValidationError:
        with pytest.raises(ConfigurationError, match=rf"defaults\.{field}"):
            variants_with(folder)
    else:
        assert getattr(variants_with(folder)[T2V]["gguf-q6_k"].defaults, field) == float(value)


def test_how_editors_under_windows_save_is_understood_or_told(tmp_path: Path) -> None:
    folder = write(tmp_path, "")
    (folder / "mine.toml").write_bytes(FINE.encode("utf-8-sig"))
    assert "gguf-q6_k" in variants_with(folder)[TI2V]
    (folder / "mine.toml").write_bytes(FINE.encode("utf-16"))
    with pytest.raises(ConfigurationError, match="Save it as UTF-8"):
        variants_with(folder)


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "gguf-q6_k is taken" in refused(tmp_path, FINE * 2)
    write(tmp_path, FINE, "first.toml")
    assert "there is a variant gguf-q6_k of TI2V-5B already" in refused(tmp_path, FINE)


LORA = """
[[variant]]
models = ["T2V-A14B"]
name = "noir"
about = "old films"
layout = "lora"
precision = "bf16"
repository = "Someone/Noir"
[variant.files]
high = { path = "noir_high_noise.safetensors" }
low = { path = "noir_low_noise.safetensors" }
"""


def test_a_users_lora_can_be_fetched_but_is_no_weights(tmp_path: Path) -> None:
    write(tmp_path, LORA)
    models = Models(ModelsSettings(), tmp_path / "models")
    assert [one.name for one in models.loras(T2V)] == [FEW_STEP, "noir"]
    assert "noir" not in {one.name for one in models.variants(T2V)}
    with pytest.raises(ModelMissing, match="has no variant 'noir'"):
        models.named(T2V, "noir")
    with pytest.raises(ConfigurationError, match="'noir' is none of auto"):
        Models(ModelsSettings(variant="noir"), tmp_path / "models")


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ('["T2V-A14B"]', '["TI2V-5B"]', "for TI2V-5B, files must have single"),
        ("low = ", "last = ", "files must have high and low or single"),
        ("noise.safetensors", "noise.gguf", "must end with .safetensors"),
        ("noir_low_noise", "x/noir_high_noise", "its files have one name"),
        ("noir_low_noise", "Noir_HIGH_noise", "its files have one name"),
        ("noir_low_noise", "noir_high_noise", "its files have one name"),
    ],
)
def test_a_lora_that_can_not_be_is_refused(tmp_path: Path, was: str, now: str, told: str) -> None:
    assert told in refused(tmp_path, LORA.replace(was, now))


@pytest.mark.parametrize("low", ["x/noir_high_noise", "noir_high_noise"])
def test_experts_of_one_name_are_refused_since_others_folders_have_them_by_it(tmp_path: Path, low: str) -> None:
    text = LORA.replace('"lora"', '"files"').replace("high =", "transformer =").replace("low =", "transformer_2 =")
    assert "its files have one name" in refused(tmp_path, text.replace("noir_low_noise", low))


@given(st.text(max_size=300))
def test_whatever_is_in_a_file_is_understood_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = write(tmp_path_factory.mktemp("any"), text)
    with contextlib.suppress(ConfigurationError):
        assert variants_with(folder) == VARIANTS


@pytest.mark.parametrize("model_type", ModelType)
def test_the_shipped_variants_are_sound(model_type: ModelType) -> None:
    weights = {"dev", "bf16", "int8", "fp8", "demo", "comfy-fp16", "gguf-q4_k_m", "gguf-q8_0"}
    assert weights | {FEW_STEP} <= set(VARIANTS[model_type])
    assert list(VARIANTS[model_type])[-1] == "demo"
    for variant in VARIANTS[model_type].values():
        assert variant.licence == "Apache-2.0"
        if variant.repository not in (None, "Kijai/WanVideo_comfy"):
            assert re.fullmatch("[0-9a-f]{40}", variant.revision), "a name of a branch says nothing of the bytes"
        assert (variant.layout != "folder") == bool(variant.files)
        for component, file in variant.files.items():
            assert fault_of(file.path) is None
            noise = {"transformer": "high", "transformer_2": "low"}.get(component, component)
            assert len(variant.files) == 1 or noise in file.name.lower(), "the two are told apart by these names"
    names = [file.name.casefold() for variant in VARIANTS[model_type].values() for file in variant.files.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("model_type", ModelType)
def test_the_transformers_have_as_many_numbers_as_is_said(model_type: ModelType) -> None:
    import torch
    from diffusers import WanTransformer3DModel

    with torch.device("meta"):
        network = WanTransformer3DModel.from_config(dict(SPECS[model_type].transformer))
    assert sum(value.numel() for value in network.parameters()) == SPECS[model_type].transformer_parameters


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    """A pipe of that name would be waited for: only files are opened."""
    (tmp_path / "folder.toml").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.toml")
    assert variants_with(tmp_path) == VARIANTS

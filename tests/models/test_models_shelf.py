"""Weights are found wherever they are, whole and of the right model, and what is missing is named."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants
from models_kit import I2V, T2V, TI2V, write_weights
from support.single_files import describe, file_names, put_dev, put_files, write_embedding

from wan22.errors import ModelMissing
from wan22.models.catalogue import SPECS, VARIANTS
from wan22.models.demo_weights import SHIPPED
from wan22.models.variants import Models
from wan22.settings import ModelsSettings
from wan22.tasks import ModelType

REST = ("model_index.json", "tokenizer", "text_encoder", "scheduler", "vae")


def models(home: Path, **settings: object) -> Models:
    return Models(ModelsSettings.model_validate(settings), home / "models")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def keep(cache: Path, model_type: ModelType, commit: str, *, ref: str = "main") -> Path:
    """A snapshot as the library keeps one: links to blobs, and a branch that is at its commit."""
    kept = cache / f"models--{SPECS[model_type].repository.replace('/', '--')}"
    for number, path in enumerate(sorted((SHIPPED / SPECS[model_type].slug).rglob("*.*"))):
        blob, link = kept / "blobs" / f"{commit}{number}", kept / "snapshots" / commit / path.relative_to(SHIPPED)
        link = kept / "snapshots" / commit / path.relative_to(SHIPPED / SPECS[model_type].slug)
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, blob)
        link.symlink_to(blob)
    (kept / "refs").mkdir(parents=True, exist_ok=True)
    (kept / "refs" / ref).write_text(commit)
    return kept / "snapshots" / commit


def comfyui(home: Path, variant: str, below: str = "diffusion_models/wan") -> Path:
    """A `models` folder of ComfyUI with the experts of a variant."""
    own = put_files(home, variant)
    there = home / "ComfyUI" / "models"
    (there / below).mkdir(parents=True)
    for part, name in file_names(variant).items():
        shutil.move(own / part / name, there / below / name)
    shutil.rmtree(own)
    return there


def test_single_files_take_the_rest_from_a_folder_of_the_model(tmp_path: Path) -> None:
    describe(tmp_path, "x-gguf")
    own, dev = put_files(tmp_path, "x-gguf"), put_dev(tmp_path)
    variant = models(tmp_path).named(T2V, "x-gguf")
    assert variant.path == own
    assert variant.parts.place("transformer_2") == own / "transformer_2" / file_names("x-gguf")["transformer_2"]
    assert {variant.parts.place(name) for name in REST} == {dev / name for name in REST}
    assert variant.parts.config == json.loads((dev / "transformer/config.json").read_bytes())
    assert variant.parts.missing(variant.spec.components) == ()


def test_what_single_files_lack_is_named(tmp_path: Path) -> None:
    describe(tmp_path, "x-fp16")
    put_files(tmp_path, "x-fp16")
    (put_dev(tmp_path) / "vae/diffusion_pytorch_model.safetensors").unlink()
    report = models(tmp_path).describe(T2V, "x-fp16")
    assert (report.state, report.missing) == ("partial", ("vae/",))
    with pytest.raises(ModelMissing, match=r"missing vae/.*Put its files into t2v-A14B/x-fp16"):
        models(tmp_path).named(T2V, "x-fp16")


def test_a_single_file_may_have_its_rest_beside_it(tmp_path: Path) -> None:
    describe(tmp_path, "x-fp16")
    own, dev = put_files(tmp_path, "x-fp16"), put_dev(tmp_path)
    for name in REST:
        shutil.move(dev / name, own / name)
    found = models(tmp_path).describe(T2V, "x-fp16")
    assert found.parts
    assert found.parts.place("vae") == own / "vae"


def test_one_expert_alone_is_not_enough(tmp_path: Path) -> None:
    describe(tmp_path, "x-fp16")
    put_dev(tmp_path)
    shutil.rmtree(put_files(tmp_path, "x-fp16") / "transformer_2")
    report = models(tmp_path).describe(T2V, "x-fp16")
    assert report.missing == (f"transformer_2/{file_names('x-fp16')['transformer_2']}",)


@pytest.mark.parametrize("variant", ["x-fp16", "x-fp8", "x-gguf"])
@pytest.mark.parametrize(("kept", "told"), [(0.5, "cut off or damaged"), (0, "cut off or damaged")])
def test_a_file_that_is_cut_off_is_not_used(tmp_path: Path, variant: str, kept: float, told: str) -> None:
    describe(tmp_path, variant)
    put_dev(tmp_path)
    path = put_files(tmp_path, variant) / "transformer" / file_names(variant)["transformer"]
    os.truncate(path, int(path.stat().st_size * kept))
    (missing,) = models(tmp_path).describe(T2V, variant).missing
    assert told in missing


def test_files_of_one_model_do_not_stand_for_another(tmp_path: Path) -> None:
    """Only the sizes in their headers tell: the names are the ones that are looked for."""
    for model_type, other in ((I2V, T2V), (T2V, I2V)):
        variant = VARIANTS[model_type]["comfy-fp16"]
        folder = tmp_path / "models" / SPECS[model_type].slug / "comfy-fp16"
        for part, file in variant.files.items():
            write_embedding(folder / part / file.name, other)
        report = models(tmp_path).describe(model_type, "comfy-fp16")
        assert report.state == "partial"
        assert "another model's" in report.missing[0]
        for part, file in variant.files.items():
            write_embedding(folder / part / file.name, model_type, "model.diffusion_model.")
        assert all("another" not in said for said in models(tmp_path).describe(model_type, "comfy-fp16").missing)


def test_comfyuis_files_are_used_where_they_are(tmp_path: Path) -> None:
    describe(tmp_path, "x-fp16")
    dev = put_dev(tmp_path)
    there = comfyui(tmp_path, "x-fp16")
    found = models(tmp_path, comfyui_dirs=[there], variant="x-fp16").get(T2V)
    assert found.parts.place("transformer") == there / "diffusion_models/wan" / file_names("x-fp16")["transformer"]
    assert found.parts.place("vae") == dev / "vae"
    assert "ComfyUI" in found.why
    assert models(tmp_path).describe(T2V, "x-fp16").state == "missing"


def test_a_link_out_of_comfyuis_folder_is_not_followed(tmp_path: Path) -> None:
    describe(tmp_path, "x-fp16")
    put_dev(tmp_path)
    there = comfyui(tmp_path, "x-fp16", "unet")
    for path in (there / "unet").iterdir():
        outside = tmp_path / path.name
        shutil.move(path, outside)
        path.symlink_to(outside)
    assert models(tmp_path, comfyui_dirs=[there]).describe(T2V, "x-fp16").state == "missing"


def test_comfyuis_folder_may_itself_be_a_link_to_another_disk(tmp_path: Path) -> None:
    put_dev(tmp_path)
    describe(tmp_path, "x-fp16")
    there = comfyui(tmp_path, "x-fp16")
    shutil.move(there / "diffusion_models", tmp_path / "large-disk")
    (there / "diffusion_models").symlink_to(tmp_path / "large-disk", target_is_directory=True)
    found = models(tmp_path, comfyui_dirs=[there], variant="x-fp16").get(T2V)
    assert found.path == tmp_path / "large-disk/wan"


def test_files_of_ones_own_go_before_comfyuis(tmp_path: Path) -> None:
    describe(tmp_path, "x-fp16")
    put_dev(tmp_path)
    there = comfyui(tmp_path, "x-fp16")
    own = put_files(tmp_path, "x-fp16")
    assert models(tmp_path, comfyui_dirs=[there]).named(T2V, "x-fp16").path == own


def test_the_official_weights_may_be_in_hugging_faces_cache(tmp_path: Path, cache: Path) -> None:
    snapshot = keep(cache, T2V, "a" * 40)
    shelf = models(tmp_path)
    variant = shelf.get(T2V)
    assert (variant.name, variant.path) == ("dev", snapshot)
    assert "Hugging Face's cache" in variant.why
    assert shelf.weights_bytes(variant) > 0
    assert shelf.place_to_fetch(SPECS[T2V]) == tmp_path / "models/t2v-A14B/dev", "nothing is written into a cache"
    assert models(tmp_path, use_hf_cache=False).get(T2V).name == "demo"


def test_of_snapshots_the_pinned_one_goes_first_then_mains(tmp_path: Path, cache: Path) -> None:
    pinned = VARIANTS[T2V]["dev"].revision
    other, main = keep(cache, T2V, "0" * 40, ref="other"), keep(cache, T2V, "f" * 40)
    assert models(tmp_path).get(T2V).path == main
    shutil.rmtree(main)
    assert models(tmp_path).get(T2V).path == other
    assert models(tmp_path).get(T2V).path != keep(cache, T2V, pinned, ref="v1")
    assert models(tmp_path).get(T2V).path.name == pinned


@pytest.mark.parametrize("damage", ["cut", "gone", "other model"])
def test_a_snapshot_that_is_not_whole_is_passed_over(tmp_path: Path, cache: Path, damage: str) -> None:
    snapshot = keep(cache, T2V, "a" * 40)
    weights = snapshot / "transformer_2/diffusion_pytorch_model.safetensors"
    if damage == "cut":
        os.truncate(weights, 1_000_000)
    elif damage == "gone":
        weights.unlink()
    else:
        shutil.copyfile(SHIPPED / "i2v-A14B/transformer/config.json", snapshot / "transformer/config.json")
    assert models(tmp_path).get(T2V).name == "demo"


def test_own_weights_go_before_a_cache(tmp_path: Path, cache: Path) -> None:
    keep(cache, T2V, "a" * 40)
    assert models(tmp_path).get(T2V).path != (dev := put_dev(tmp_path))
    assert models(tmp_path).get(T2V).path == dev


def test_single_files_take_their_rest_from_a_cache_too(tmp_path: Path, cache: Path) -> None:
    describe(tmp_path, "x-gguf")
    put_files(tmp_path, "x-gguf")
    snapshot = keep(cache, T2V, "a" * 40)
    assert models(tmp_path).named(T2V, "x-gguf").parts.place("tokenizer") == snapshot / "tokenizer"


def test_single_files_may_be_in_the_cache_of_their_repository(tmp_path: Path, cache: Path) -> None:
    put_dev(tmp_path)
    describe(tmp_path, "x-gguf", repository="Someone/Small-GGUF")
    own = put_files(tmp_path, "x-gguf")
    snapshot = cache / "models--Someone--Small-GGUF/snapshots/c0ffee/files"
    snapshot.mkdir(parents=True)
    for part, name in file_names("x-gguf").items():
        shutil.move(own / part / name, snapshot / name)
    report = models(tmp_path).describe(T2V, "x-gguf")
    assert (report.state, report.path, report.owner) == ("ready", snapshot, "Hugging Face's cache")
    assert models(tmp_path, use_hf_cache=False).describe(T2V, "x-gguf").state == "missing"


def test_auto_takes_the_best_that_is_whole(tmp_path: Path) -> None:
    order = [name for name in VARIANTS[TI2V] if VARIANTS[TI2V][name].layout == "folder" and name != "demo"]
    assert order == ["bf16", "dev", "int8", "fp8"]
    for name in reversed(order):
        write_weights(tmp_path / "models/ti2v-5b" / name, SPECS[TI2V])
        assert models(tmp_path).get(TI2V).name == name


@pytest.mark.parametrize("kind", [".bin", ".pth", ".pt", ".ckpt"])
def test_weights_that_are_only_a_pickle_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    folder = write_weights(tmp_path / "models/ti2v-5b/dev", SPECS[TI2V])
    (folder / "vae/diffusion_pytorch_model.safetensors").rename(folder / f"vae/diffusion_pytorch_model{kind}")
    report = models(tmp_path).describe(TI2V)
    assert report.missing == (
        f"vae/diffusion_pytorch_model{kind} (a pickle, which can run code when it is read, so that it never is; get "
        "these weights as .safetensors)",
    )
    assert models(tmp_path).get(TI2V).name == "demo"

"""Whatever weights there are can be verified, wherever they are; what can't be fetched is not repaired."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from convert_kit import convert, small_model
from huggingface_hub import constants
from models_kit import T2V, TI2V
from support.loopback_hub import COMMIT, LoopbackHub
from support.single_files import describe, exported, file_names, files_of, put_dev, put_files

from wan22.errors import DownloadFailed, InvalidRequest, ModelCorrupt, ModelMissing, WrongState
from wan22.models.catalogue import SPECS
from wan22.models.check_plan import CheckPlan, plan_check, refuse_what_is_lent
from wan22.models.demo_weights import SHIPPED, SUMS
from wan22.models.variants import Models
from wan22.models.verification import Check, WrongFile, find_check
from wan22.models.weights import Weights
from wan22.settings import DownloadSettings, ModelsSettings
from wan22.tasks import Draft

SPEC = SPECS[TI2V]
GGUF = "Someone/Small-GGUF"
VAE = "vae/diffusion_pytorch_model.safetensors"


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """A hub with the demo weights of TI2V-5B as the official ones, and with experts of T2V-A14B."""
    official = {path.relative_to(SHIPPED / SPEC.slug).as_posix(): path for path in (SHIPPED / SPEC.slug).rglob("*.*")}
    with LoopbackHub({name: path.read_bytes() for name, path in official.items()}, repository=SPEC.repository) as hub:
        hub.also(GGUF, files_of("x-gguf"))
        yield hub


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The official weights in Hugging Face's cache."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    kept = tmp_path / "cache" / f"models--{SPEC.repository.replace('/', '--')}"
    return shutil.copytree(SHIPPED / SPEC.slug, kept / "snapshots" / COMMIT)


def weights(home: Path, hub: str = "http://127.0.0.1:9", *, demos: Path = SHIPPED, **models: Any) -> Weights:
    found = Models(ModelsSettings.model_validate(models), home / "models", demos=demos)
    return Weights(found, DownloadSettings(hub=hub, stall_s=2.0))


def wrong(plan: CheckPlan, *, quick: bool = False) -> list[WrongFile]:
    check = Check(plan.sought, quick=quick)
    check.run()
    return list(check.wrong)


def spoil(path: Path, at: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x40
    path.write_bytes(content)


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_hugging_faces_cache_is_compared_with_the_hub_and_never_written_to(
    hub: LoopbackHub, tmp_path: Path, snapshot: Path
) -> None:
    before = everything(tmp_path / "cache")
    plan = plan_check(weights(tmp_path, hub.endpoint), TI2V)
    assert (plan.target, plan.is_hashed, wrong(plan), wrong(plan, quick=True)) == (snapshot, True, [], [])
    spoil(snapshot / VAE)
    assert wrong(plan) == [WrongFile(VAE, "wrong content")]
    assert everything(tmp_path / "cache") == before
    with pytest.raises(WrongState, match=r"Hugging Face's cache, where nothing is ever written") as refused:
        plan.refuse_repair()
    assert "models.use_hf_cache" in refused.value.hint


def test_comfyuis_files_are_compared_with_the_hub_and_never_written_to(hub: LoopbackHub, tmp_path: Path) -> None:
    describe(tmp_path, "x-gguf", repository=GGUF)
    shutil.copytree(SHIPPED / SPECS[T2V].slug, tmp_path / "models/t2v-A14B/bf16")
    there = tmp_path / "ComfyUI/models/unet"
    there.mkdir(parents=True)
    names = file_names("x-gguf")
    for name in names.values():
        shutil.copyfile(exported() / name, there / name)
    before = everything(tmp_path / "ComfyUI")
    plan = plan_check(weights(tmp_path, hub.endpoint, comfyui_dirs=[there.parent]), T2V, "x-gguf")
    assert wrong(plan) == []
    spoil(there / names["transformer_2"])
    assert wrong(plan) == [WrongFile(names["transformer_2"], "wrong content")]
    assert everything(tmp_path / "ComfyUI") == before
    with pytest.raises(WrongState, match="a folder of ComfyUI"):
        plan.refuse_repair()


def test_a_repair_mends_what_is_ours_and_tells_of_what_is_lent(hub: LoopbackHub, tmp_path: Path) -> None:
    describe(tmp_path, "x-gguf", repository=GGUF)
    shutil.copytree(SHIPPED / SPECS[T2V].slug, tmp_path / "models/t2v-A14B/bf16")
    there, names = tmp_path / "ComfyUI/models/unet", file_names("x-gguf")
    there.mkdir(parents=True)
    shutil.copyfile(exported() / names["transformer"], there / names["transformer"])
    found = weights(tmp_path, hub.endpoint, comfyui_dirs=[there.parent])
    found.download(found.plan(T2V, "x-gguf")).run()
    ours = tmp_path / "models/t2v-A14B/x-gguf/transformer_2" / names["transformer_2"]
    spoil(ours)
    spoil(there / names["transformer"])
    plan = plan_check(found, T2V, "x-gguf")
    plan.refuse_repair()
    check = Check(plan.sought)
    check.run()
    check.remove_wrong()
    assert (ours.exists(), (there / names["transformer"]).exists()) == (False, True)
    found.download(found.plan(T2V, "x-gguf")).run()
    assert ours.read_bytes() == (exported() / names["transformer_2"]).read_bytes()
    with pytest.raises(ModelCorrupt, match="in a folder of another program") as told:
        refuse_what_is_lent(check)
    assert "Have that program fetch them again" in told.value.hint


def test_a_conversion_is_compared_with_what_it_made(tmp_path: Path) -> None:
    target = convert(small_model(tmp_path), "bf16")
    found = weights(tmp_path)
    plan = plan_check(found, TI2V, "bf16")
    assert (plan.target, plan.is_hashed, wrong(plan)) == (target, True, [])
    looked_at = {file.path for file in plan.sought[0].files}
    assert {VAE, "transformer/config.json", "tokenizer/tokenizer.json"} <= looked_at
    first = sorted(target.glob("transformer/*.safetensors"))[0]
    spoil(first)
    assert wrong(plan, quick=True) == []
    assert wrong(plan) == [WrongFile(f"transformer/{first.name}", "wrong content")]
    instead = found.models.for_draft(Draft(model_type=TI2V, prompt="x"))
    assert instead.name == "dev"
    assert "bf16" in instead.why
    assert "found with wrong content" in instead.why
    with pytest.raises(ModelCorrupt, match="found with wrong content") as spoilt:
        found.models.named(TI2V, "bf16")
    assert spoilt.value.hint.startswith(f"Remove {target}. Run `wan22 models convert ti2v-5b --to bf16`")
    with pytest.raises(WrongState, match="made by a conversion") as refused:
        plan.refuse_repair()
    assert refused.value.hint == spoilt.value.hint.removesuffix(" Then send it again.")


def test_what_was_found_wrong_in_a_conversion_is_made_again(tmp_path: Path) -> None:
    source = small_model(tmp_path)
    target = convert(source, "bf16")
    shard, kept = sorted(target.glob("transformer/*.safetensors"))[0], target / VAE
    good = {path: path.read_bytes() for path in (shard, kept)}
    kept.unlink()
    kept.write_bytes(good[kept])
    for path in (shard, kept):
        spoil(path)
    assert len(wrong(plan_check(weights(tmp_path), TI2V, "bf16"))) == 2
    assert convert(source, "bf16") == target
    assert {path: path.read_bytes() for path in good} == good
    assert wrong(plan_check(weights(tmp_path), TI2V, "bf16")) == []


def test_what_a_conversion_had_made_before_it_was_stopped_keeps_its_hash(tmp_path: Path) -> None:
    source = small_model(tmp_path)
    target = convert(source, "bf16")
    first, second = sorted(target.glob("transformer/*.safetensors"))[:2]
    spoil(first)
    second.unlink()
    convert(source, "bf16")
    assert wrong(plan_check(weights(tmp_path), TI2V, "bf16")) == [
        WrongFile(f"transformer/{first.name}", "wrong content")
    ]


@pytest.mark.parametrize("record", [None, "{", json.dumps({"../x": "0"}), json.dumps({VAE: 5})])
def test_without_hashes_headers_are_looked_at(tmp_path: Path, record: str | None) -> None:
    target = convert(small_model(tmp_path), "bf16")
    (target / ".wan22/sha256.json").unlink()
    if record:
        (target / ".wan22/sha256.json").write_text(record, "utf-8")
    plan = plan_check(weights(tmp_path), TI2V, "bf16")
    assert (plan.is_hashed, wrong(plan)) == (False, [])
    assert find_check(target / "vae") is find_check(target) is None, "nothing was hashed"
    spoil(target / VAE, at=20)
    assert wrong(plan) == [WrongFile("diffusion_pytorch_model.safetensors", "damaged header")]


def test_the_demo_weights_are_compared_with_what_was_shipped(tmp_path: Path) -> None:
    shutil.copy(SHIPPED / SUMS, tmp_path)
    shutil.copytree(SHIPPED / SPEC.slug, tmp_path / SPEC.slug)
    plan = plan_check(weights(tmp_path, demos=tmp_path), TI2V, "demo")
    assert (plan.is_hashed, wrong(plan)) == (True, [])
    spoil(tmp_path / SPEC.slug / VAE)
    (tmp_path / SPEC.slug / "vae/config.json").unlink()
    assert wrong(plan) == [WrongFile("vae/config.json", "missing"), WrongFile(VAE, "wrong content")]
    with pytest.raises(WrongState, match="come with the package"):
        plan.refuse_repair()


def test_files_that_the_user_put_there_are_looked_at(tmp_path: Path) -> None:
    describe(tmp_path, "x-fp16")
    put_dev(tmp_path)
    put_files(tmp_path, "x-fp16")
    plan = plan_check(weights(tmp_path), T2V, "x-fp16")
    assert (plan.is_hashed, wrong(plan)) == (False, [])
    assert plan.sought[1].folder == tmp_path / "models/t2v-A14B/dev/text_encoder"
    with pytest.raises(WrongState, match="have no source"):
        plan.refuse_repair()


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("q9", InvalidRequest, "must be one of bf16, dev"),
        ("bf16", ModelMissing, "wan22 models convert ti2v-5b --to bf16"),
        ("dev", DownloadFailed, "does not list"),
    ],
)
def test_what_can_not_be_verified_says_why(tmp_path: Path, name: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        plan_check(weights(tmp_path), TI2V, name)

"""The real weights of a model: planned, fetched and checked against a hub on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from support.loopback_hub import COMMIT, LoopbackHub
from support.weight_files import holding

from wan22.errors import DiskFull, DownloadFailed
from wan22.models.catalogue import SPECS, VARIANTS
from wan22.models.check_plan import plan_check
from wan22.models.specs import OFFICIAL
from wan22.models.variants import Models
from wan22.models.verification import Check, WrongFile
from wan22.models.weights import Weights
from wan22.settings import DownloadSettings, ModelsSettings
from wan22.tasks import ModelType

TI2V = ModelType.TI2V_5B
SPEC = SPECS[TI2V]
PARTS = {"scheduler": "scheduler_config", "tokenizer": "tokenizer_config"}
FILES = {
    "model_index.json": b'{"vae": ["diffusers", "AutoencoderKLWan"]}',
    **{f"{part}/{PARTS.get(part, 'config')}.json": b"{ }" for part in SPEC.components},
    "transformer/diffusion_pytorch_model.safetensors": holding(b"transformer" * 1000),
    "text_encoder/model.safetensors": holding(b"encoder" * 1000),
    "vae/diffusion_pytorch_model.safetensors": holding(b"vae" * 1000),
}
OTHER = {"README.md": b"# Wan", "assets/logo.json": b"{}", "google/umt5.pth": b"\x80\x04"}


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub(FILES | OTHER, repository=SPEC.repository) as hub:
        yield hub


def weights(hub: LoopbackHub, folder: Path, **settings: Any) -> Weights:
    models = Models(ModelsSettings(models_dirs=(folder,)), folder / "home")
    return Weights(models, DownloadSettings(**{"hub": hub.endpoint, "stall_s": 2.0, **settings}))


def fetch(found: Weights) -> None:
    found.download(found.plan(TI2V)).run()


def wrong(found: Weights, *, quick: bool = False) -> list[WrongFile]:
    check = Check(plan_check(found, TI2V).sought, quick=quick)
    check.run()
    return list(check.wrong)


def test_what_loading_reads_is_fetched_and_nothing_else(hub: LoopbackHub, tmp_path: Path) -> None:
    found = weights(hub, tmp_path)
    plan = found.plan(TI2V)
    assert plan.target == tmp_path / "ti2v-5b/dev"
    assert {planned.file.path for planned in plan.files} == set(FILES)
    assert plan.missing_bytes == sum(map(len, FILES.values()))
    assert (plan.seconds_at(plan.missing_bytes / 4), plan.seconds_at(None)) == (4.0, None)
    found.download(plan).run()
    assert {path: (plan.target / path).read_bytes() for path in FILES} == FILES
    assert not any((plan.target / path).exists() for path in OTHER)


def test_afterwards_the_model_is_ready_and_nothing_is_missing(hub: LoopbackHub, tmp_path: Path) -> None:
    found = weights(hub, tmp_path)
    fetch(found)
    models = Models(ModelsSettings(models_dirs=(tmp_path,)), tmp_path / "home")
    assert models.describe(TI2V).state == "ready"
    assert models.get(TI2V).name == "dev"
    assert found.plan(TI2V).missing_bytes == 0
    assert wrong(found) == []


def test_a_folder_that_was_begun_elsewhere_is_completed_there(hub: LoopbackHub, tmp_path: Path) -> None:
    begun = tmp_path / "home/ti2v-5b/dev"
    (begun / "vae").mkdir(parents=True)
    (begun / "model_index.json").write_bytes(FILES["model_index.json"])
    plan = weights(hub, tmp_path).plan(TI2V)
    assert plan.target == begun
    assert plan.missing_bytes == sum(map(len, FILES.values())) - len(FILES["model_index.json"])


def test_the_pinned_commit_is_fetched_and_later_runs_need_no_hub(hub: LoopbackHub, tmp_path: Path) -> None:
    found = weights(hub, tmp_path)
    fetch(found)
    hub.close()
    assert found.plan(TI2V).listing.commit == VARIANTS[TI2V][OFFICIAL].revision != COMMIT
    assert wrong(found) == []


def test_mirrors_and_folders_are_asked_after_the_hub(hub: LoopbackHub, tmp_path: Path) -> None:
    local = tmp_path / "share" / SPEC.repository
    for path, content in FILES.items():
        (local / path).parent.mkdir(parents=True, exist_ok=True)
        (local / path).write_bytes(content)
    found = weights(hub, tmp_path / "m", folders=[str(tmp_path / "share")], token=SecretStr("hf_secret"))
    plan = found.plan(TI2V)
    hub.close()
    found.download(plan).run()
    assert wrong(found) == []


@pytest.mark.parametrize("quick", [True, False])
def test_wrong_files_are_named_with_what_is_wrong(hub: LoopbackHub, tmp_path: Path, quick: bool) -> None:
    found = weights(hub, tmp_path)
    fetch(found)
    target = found.plan(TI2V).target
    (target / "vae/config.json").unlink()
    (target / "model_index.json").write_bytes(b"{}")
    weight = target / "vae/diffusion_pytorch_model.safetensors"
    weight.write_bytes(weight.read_bytes()[:-1] + b"x")
    encoder = target / "text_encoder/model.safetensors"
    encoder.write_bytes(b"x" * encoder.stat().st_size)
    told = [
        WrongFile("model_index.json", "wrong size"),
        WrongFile("text_encoder/model.safetensors", "damaged header" if quick else "wrong content"),
        WrongFile("vae/config.json", "missing"),
        WrongFile("vae/diffusion_pytorch_model.safetensors", "wrong content"),
    ]
    assert wrong(found, quick=quick) == told[: 3 if quick else 4]


def test_what_does_not_fit_is_refused_before_the_first_byte(hub: LoopbackHub, tmp_path: Path) -> None:
    lfs = {"oid": "0" * 64, "size": 10**15}
    hub.list_also({"type": "file", "path": "vae/huge.safetensors", "size": 10**15, "oid": "0" * 40, "lfs": lfs})
    found = weights(hub, tmp_path)
    with pytest.raises(DiskFull, match=r"needs 1,000,000,0.* bytes are free"):
        found.download(found.plan(TI2V))
    assert not (tmp_path / "ti2v-5b").exists()


def test_without_the_hub_and_without_a_manifest_nothing_is_fetched(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.close()
    with pytest.raises(DownloadFailed, match="does not list"):
        weights(hub, tmp_path).plan(TI2V)


def test_what_another_process_put_right_meanwhile_is_not_removed(hub: LoopbackHub, tmp_path: Path) -> None:
    found = weights(hub, tmp_path)
    fetch(found)
    plan = found.plan(TI2V)
    spoilt, gone = plan.target / "model_index.json", plan.target / "vae/config.json"
    spoilt.write_bytes(b"{}")
    gone.unlink()
    check = Check(plan_check(found, TI2V).sought)
    check.run()
    fetch(found)
    assert wrong(found) == []
    check.remove_wrong()
    assert wrong(found) == []

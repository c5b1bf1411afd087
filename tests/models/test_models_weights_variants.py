"""Other variants than the official one are fetched from their repositories, and nothing that is there already."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from models_kit import T2V
from support.loopback_hub import COMMIT, Fault, LoopbackHub
from support.single_files import describe, exported, file_names, files_of, put_dev, put_files

from wan22.errors import DownloadFailed, InvalidRequest, WrongState
from wan22.models.catalogue import SPECS, VARIANTS
from wan22.models.check_plan import plan_check
from wan22.models.demo_weights import SHIPPED
from wan22.models.downloads import Downloads
from wan22.models.variants import Models
from wan22.models.verification import Check
from wan22.models.weights import Weights
from wan22.settings import DownloadSettings, ModelsSettings

SPEC = SPECS[T2V]
GGUF = "Someone/Small-GGUF"
OFFICIAL = {path.relative_to(SHIPPED / SPEC.slug).as_posix(): path for path in (SHIPPED / SPEC.slug).rglob("*.*")}
REST = {path for path in OFFICIAL if not path.startswith("transformer")} | {"transformer/config.json"}
EXPERTS = {f"{part}/{name}" for part, name in file_names("x-gguf").items()}


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """A hub with the demo weights as the official ones, and their experts as GGUF in another repository."""
    official = {name: path.read_bytes() for name, path in OFFICIAL.items()}
    with LoopbackHub(official, repository=SPEC.repository) as hub:
        hub.also(GGUF, files_of("x-gguf") | {"README.md": b"# small"})
        yield hub


@pytest.fixture
def home(tmp_path: Path) -> Path:
    describe(tmp_path, "x-gguf", repository=GGUF)
    describe(tmp_path, "x-fp16", repository=GGUF)
    return tmp_path


def weights(home: Path, hub: LoopbackHub, *, models: dict[str, Any] | None = None, **settings: Any) -> Weights:
    found = Models(ModelsSettings.model_validate(models or {}), home / "models")
    return Weights(found, DownloadSettings(**{"hub": hub.endpoint, "stall_s": 2.0, **settings}))


def paths(found: Weights, variant: str = "x-gguf") -> set[str]:
    return {planned.file.path for planned in found.plan(T2V, variant).files if planned.missing_bytes}


def test_single_files_come_from_theirs_and_the_rest_from_the_official_one(hub: LoopbackHub, home: Path) -> None:
    found = weights(home, hub)
    plan = found.plan(T2V, "x-gguf")
    assert {planned.file.path for planned in plan.files} == EXPERTS | REST
    assert [(one.listing.repository, one.target.name) for one in plan.plans] == [
        (GGUF, "x-gguf"),
        (SPEC.repository, "dev"),
    ]
    run = found.download(plan)
    run.run()
    assert run.progress().state == "done"
    assert run.progress().done_bytes == plan.size_bytes == plan.missing_bytes
    report = Models(ModelsSettings(), home / "models").describe(T2V)
    assert (report.state, report.name, report.path) == ("ready", "x-gguf", home / "models/t2v-A14B/x-gguf")
    assert paths(found) == set()


def test_later_runs_stay_at_the_commit_of_a_branch_that_the_first_met(hub: LoopbackHub, home: Path) -> None:
    found = weights(home, hub)
    found.download(found.plan(T2V, "x-gguf")).run()
    hub.close()
    listing = found.plan(T2V, "x-gguf").listing
    assert (listing.revision, listing.commit) == ("main", COMMIT)


def test_another_revision_in_the_file_that_describes_it_is_moved_to(hub: LoopbackHub, home: Path) -> None:
    found = weights(home, hub)
    found.download(found.plan(T2V, "x-gguf")).run()
    described, moved = home / "variants/x-gguf.toml", "d" * 40
    text = described.read_text("utf-8")
    described.write_text(text.replace("[variant.files]", f'revision = "{moved}"\n[variant.files]'))
    assert weights(home, hub).plan(T2V, "x-gguf").listing.commit == moved


def test_what_is_on_disk_already_is_not_fetched(hub: LoopbackHub, home: Path) -> None:
    bf16 = home / "models/t2v-A14B/bf16"
    shutil.copytree(SHIPPED / SPEC.slug, bf16)
    assert paths(weights(home, hub)) == EXPERTS


def test_what_comfyui_has_is_not_fetched(hub: LoopbackHub, home: Path) -> None:
    put_dev(home)
    there = home / "ComfyUI/models"
    (there / "unet").mkdir(parents=True)
    shutil.copyfile(exported() / file_names("x-gguf")["transformer"], there / "unet/X.gguf")
    (there / "unet/X.gguf").rename(there / "unet" / file_names("x-gguf")["transformer"].upper())
    shutil.rmtree(home / "models/t2v-A14B/dev/transformer")
    shutil.copytree(SHIPPED / SPEC.slug, home / "models/t2v-A14B/bf16")
    found = weights(home, hub, models={"comfyui_dirs": [there]})
    assert paths(found) == {f"transformer_2/{file_names('x-gguf')['transformer_2']}"}
    shutil.copyfile(
        exported() / file_names("x-gguf")["transformer_2"], there / "unet" / file_names("x-gguf")["transformer_2"]
    )
    with pytest.raises(WrongState, match=r"whole in .*used from there"):
        found.plan(T2V, "x-gguf")


TRANSFORMER, VAE = (f"{part}/diffusion_pytorch_model.safetensors" for part in ("transformer", "vae"))


@pytest.fixture
def snapshot(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What Hugging Face's cache has of the commit, but for one file."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "cache"))
    folder = home / f"cache/models--{SPEC.repository.replace('/', '--')}/snapshots/{VARIANTS[T2V]['dev'].revision}"
    shutil.copytree(SHIPPED / SPEC.slug, folder)
    (folder / VAE).unlink()
    return folder


def test_what_came_from_a_disk_is_no_speed_of_the_line(hub: LoopbackHub, home: Path, snapshot: Path) -> None:
    shutil.copyfile(OFFICIAL[VAE], snapshot / VAE)
    (snapshot / "model_index.json").unlink()
    found = weights(home, hub)
    run = found.download(found.plan(T2V))
    run.run()
    assert run.progress().traffic.fetched_bytes == hub.sent() == OFFICIAL["model_index.json"].stat().st_size
    assert found.last_speed.find() is None


@pytest.mark.usefixtures("snapshot")
def test_what_a_cache_has_of_a_commit_is_copied_and_the_rest_is_fetched(hub: LoopbackHub, home: Path) -> None:
    found = weights(home, hub)
    plan = found.plan(T2V)
    vae_bytes = OFFICIAL[VAE].stat().st_size
    assert plan.missing_bytes - plan.cached_bytes == vae_bytes
    assert plan.seconds_at(1000.0) == vae_bytes / 1000
    found.download(plan).run()
    assert [path for path in OFFICIAL if hub.sent(path)] == [VAE]
    assert found.models.describe(T2V).path == home / "models/t2v-A14B/dev"


def test_what_is_wrong_in_a_cache_is_found_by_its_hash_and_fetched(
    hub: LoopbackHub, home: Path, snapshot: Path
) -> None:
    content = (snapshot / TRANSFORMER).read_bytes()
    (snapshot / TRANSFORMER).write_bytes(content[:-1] + b"x")
    found = weights(home, hub)
    found.download(found.plan(T2V)).run()
    assert {path: hub.sent(path) for path in OFFICIAL if hub.sent(path)} == {
        TRANSFORMER: len(content),
        VAE: OFFICIAL[VAE].stat().st_size,
    }
    assert (home / "models/t2v-A14B/dev" / TRANSFORMER).read_bytes() == content


def test_a_damaged_single_file_is_found_and_fetched_again(hub: LoopbackHub, home: Path) -> None:
    shutil.copytree(SHIPPED / SPEC.slug, home / "models/t2v-A14B/bf16")
    found = weights(home, hub)
    found.download(found.plan(T2V, "x-gguf")).run()
    path = home / "models/t2v-A14B/x-gguf/transformer" / file_names("x-gguf")["transformer"]
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"x")
    check = Check(plan_check(found, T2V, "x-gguf").sought)
    check.run()
    assert [file.fault for file in check.wrong] == ["wrong content"]
    check.remove_wrong()
    hub.close  # noqa: B018 - it stays open: the file is fetched again
    found.download(found.plan(T2V, "x-gguf")).run()
    assert path.read_bytes() == good


def test_the_source_that_is_named_is_asked_first(hub: LoopbackHub, home: Path) -> None:
    shutil.copytree(SHIPPED / SPEC.slug, home / "models/t2v-A14B/bf16")
    share = home / "share" / GGUF / "files"
    share.mkdir(parents=True)
    for name in file_names("x-gguf").values():
        shutil.copyfile(exported() / name, share / name)
    found = weights(home, hub, folders=[str(home / "share")])
    assert found.sources == {"hub": hub.endpoint, "folder-1": str(home / "share")}
    run = found.download(found.plan(T2V, "x-gguf"), "folder-1")
    run.run()
    assert {str(file.source).split()[0] for file in run.progress().files} == {"folder"}
    assert hub.sent(f"files/{file_names('x-gguf')['transformer']}") == 0


@pytest.mark.parametrize(
    ("variant", "source", "told"),
    [
        ("bf16", None, "variant: can't be fetched: it has no source. Run `wan22 models convert t2v-a14b"),
        ("demo", None, "variant: can't be fetched: it comes with the server"),
        ("q9", None, "variant: must be one of dev, comfy-fp16, gguf-q8_0"),
        ("x-gguf", "mirror-1", "source: must be one of hub"),
        ("x-gguf", "http://127.0.0.1", "source: must be one of hub"),
    ],
)
def test_wrong_names_are_refused_with_the_right_ones(
    hub: LoopbackHub, home: Path, variant: str, source: str | None, told: str
) -> None:
    found = weights(home, hub)
    assert told in str(InvalidRequest(found.faults(T2V, variant, source)))
    assert hub.all_seen() == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f'sha256 = "{"0" * 64}"', f"the sha256 [0-9a-f]{{64}}, and the variant says {'0' * 64}"),
        ("size = 12345", r"{size:,} bytes, and the variant says 12,345"),
    ],
)
def test_a_file_with_another_hash_or_size_than_the_variant_names_is_not_fetched(
    hub: LoopbackHub, home: Path, said: str, told: str
) -> None:
    path = home / "variants/x-gguf.toml"
    path.write_text(path.read_text().replace('gguf" }', f'gguf", {said} }}'), "utf-8")
    with pytest.raises(DownloadFailed) as refusal:
        weights(home, hub).plan(T2V, "x-gguf")
    name = f"files/{file_names('x-gguf')['transformer']}"
    told = told.replace("{size:,}", f"{len(files_of('x-gguf')[name]):,}")
    assert re.search(rf"^{re.escape(name)} of {GGUF} at {COMMIT} has {told}\.$", refusal.value.detail)
    assert "Correct size, sha256 or revision in the file that describes the variant" in refusal.value.hint


def test_a_file_with_the_size_and_hash_that_the_variant_names_is_fetched(hub: LoopbackHub, home: Path) -> None:
    path = home / "variants/x-gguf.toml"
    text = path.read_text()
    for name, content in files_of("x-gguf").items():
        said = f'size = {len(content)}, sha256 = "{sha256(content).hexdigest()}"'
        text = text.replace(f'"{name}"', f'"{name}", {said}')
    path.write_text(text, "utf-8")
    assert paths(weights(home, hub)) >= EXPERTS


def test_two_variants_of_a_model_are_not_fetched_at_once(hub: LoopbackHub, home: Path) -> None:
    shutil.copytree(SHIPPED / SPEC.slug, home / "models/t2v-A14B/bf16")
    hub.fault(f"files/{file_names('x-gguf')['transformer']}", Fault(stall_after=1000))
    downloads = Downloads(weights(home, hub, stall_s=30.0))
    try:
        begun = downloads.start(T2V, "x-gguf")
        assert (begun.variant, begun.repository) == ("x-gguf", GGUF)
        assert downloads.start(T2V, "x-gguf").started_at == begun.started_at
        with pytest.raises(WrongState, match="T2V-A14B is being downloaded"):
            downloads.start(T2V, "x-fp16")
    finally:
        downloads.close()


def test_files_that_were_put_there_by_hand_are_checked_and_kept(hub: LoopbackHub, home: Path) -> None:
    shutil.copytree(SHIPPED / SPEC.slug, home / "models/t2v-A14B/bf16")
    put_files(home, "x-gguf")
    found = weights(home, hub)
    found.download(found.plan(T2V, "x-gguf")).run()
    assert hub.sent() == 0

"""From the command to a video with weights of other programs: fetched as GGUF, or used where ComfyUI has them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from support.loopback_hub import LoopbackHub
from support.single_files import describe, exported, file_names, files_of, put_dev, put_files
from typer.testing import CliRunner

from wan22.cli.app import app
from wan22.errors import InvalidRequest, WrongState
from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import SHIPPED
from wan22.tasks import ModelType

SPEC = SPECS[ModelType.T2V_A14B]
GGUF = "Someone/Small-GGUF"
SMALL = ["--model", "T2V-A14B", "--size", "64x64", "--frames", "5", "--steps", "2"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that knows two variants more."""
    monkeypatch.setenv("WAN22_HOME", str(tmp_path))
    describe(tmp_path, "x-gguf", repository=GGUF)
    describe(tmp_path, "x-fp8")
    return tmp_path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    official = {path.relative_to(SHIPPED / SPEC.slug).as_posix(): path for path in (SHIPPED / SPEC.slug).rglob("*.*")}
    with LoopbackHub({name: path.read_bytes() for name, path in official.items()}, repository=SPEC.repository) as hub:
        hub.also(GGUF, files_of("x-gguf"))
        monkeypatch.setenv("WAN22_DOWNLOAD__HUB", hub.endpoint)
        yield hub


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.usefixtures("hub")
def test_a_gguf_variant_is_fetched_verified_and_makes_a_video(home: Path) -> None:
    fetched = run("models", "download", "t2v-a14b", "--variant", "x-gguf", "--source", "hub")
    assert (fetched.exit_code, fetched.stdout.strip()) == (0, str(home / "models/t2v-A14B/x-gguf")), fetched.stderr
    assert run("models", "verify", "t2v-a14b", "--variant", "x-gguf").exit_code == 0
    told = run("models", "status").stdout
    assert f"T2V-A14B: ready. The real weights of T2V-A14B (x-gguf) are in {home / 'models/t2v-A14B/x-gguf'}." in told
    assert "  x-gguf: ready; of the demo (gguf-q8_0)" in told
    assert "  dev: partial; " in told, "its transformers were not fetched"
    made = run("generate", "a cat", "-o", str(home / "cat.mp4"), *SMALL)
    assert made.exit_code == 0, made.stderr
    assert (home / "cat.mp4").stat().st_size > 0
    assert "These are the weights of t2v-A14B/x-gguf." in made.stderr


def test_comfyuis_files_make_a_video_where_they_are(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = home / "ComfyUI/models/diffusion_models"
    there.mkdir(parents=True)
    for name in file_names("x-fp8").values():
        shutil.copyfile(exported() / name, there / name)
    put_dev(home)
    monkeypatch.setenv("WAN22_MODELS__COMFYUI_DIRS", json.dumps([str(there.parent)]))
    monkeypatch.setenv("WAN22_MODELS__VARIANT", "x-fp8")
    assert f"(x-fp8) are in {there}, a folder of ComfyUI." in run("doctor").stdout
    made = run("generate", "a cat", "-o", str(home / "cat.mp4"), *SMALL)
    assert made.exit_code == 0, made.stderr
    assert sorted(path.name for path in home.glob("models/t2v-A14B/*")) == ["dev"], "nothing is copied"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--variant", "bf16"], "it has no source. Run `wan22 models convert t2v-a14b --to bf16`"),
        (["--variant", "x-fp8"], "it has no source"),
        (["--variant", "gguf"], "must be one of dev, comfy-fp16"),
        (["--source", "mirror-1"], "must be one of hub"),
    ],
)
def test_a_wrong_name_is_told_the_right_ones(flags: list[str], told: str) -> None:
    refused = run("models", "download", "t2v-a14b", *flags)
    assert isinstance(refused.exception, InvalidRequest)
    assert told in refused.exception.detail


def test_a_file_of_variants_with_a_mistake_ends_every_command(home: Path) -> None:
    path = home / "variants/x-gguf.toml"
    path.write_text(path.read_text().replace("layout", "layuot"), "utf-8")
    told = str(run("models", "status").exception)
    assert str(path) in told
    assert "variant[0].la" in told


def test_weights_of_any_kind_are_verified_and_what_can_not_be_fetched_is_not_repaired(home: Path) -> None:
    shipped = run("models", "verify", "t2v-a14b", "--variant", "demo")
    assert (shipped.exit_code, shipped.stderr.splitlines()[-1]) == (0, "T2V-A14B is whole.")
    refused = run("models", "verify", "t2v-a14b", "--variant", "demo", "--repair")
    assert isinstance(refused.exception, WrongState)
    assert refused.exception.hint == "Install wan22 again; these weights come with it."
    put_dev(home)
    put_files(home, "x-fp8")
    told = run("models", "verify", "t2v-a14b", "--variant", "x-fp8")
    assert (told.exit_code, told.stderr.splitlines()[0]) == (
        0,
        "Nobody has hashed x-fp8: only what headers tell is looked at.",
    )

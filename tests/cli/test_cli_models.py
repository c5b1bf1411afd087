"""`wan22 models` against a hub on this machine: fetched, stopped, verified, repaired."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pytest
from support.loopback_hub import Fault, LoopbackHub
from support.loras import lora_for
from typer.testing import CliRunner, Result

from wan22.cli.app import app
from wan22.errors import DiskFull, DownloadFailed, InvalidRequest, ModelCorrupt, ModelMissing
from wan22.models.catalogue import SPECS, VARIANTS
from wan22.models.demo_weights import SHIPPED
from wan22.models.specs import FEW_STEP
from wan22.tasks import ModelType

SPEC = SPECS[ModelType.TI2V_5B]
REAL = {path.relative_to(SHIPPED / SPEC.slug).as_posix(): path for path in (SHIPPED / SPEC.slug).rglob("*.*")}
BIG = "vae/diffusion_pytorch_model.safetensors"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A hub that has the small pipeline in the place of the real one."""
    monkeypatch.setenv("WAN22_HOME", str(tmp_path))
    with LoopbackHub({name: path.read_bytes() for name, path in REAL.items()}, repository=SPEC.repository) as hub:
        monkeypatch.setenv("WAN22_DOWNLOAD__HUB", hub.endpoint)
        yield hub


def models(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", *arguments])


def place(home: Path) -> Path:
    return home / "models" / SPEC.slug / "dev"


@pytest.mark.usefixtures("hub")
def test_a_model_that_was_fetched_is_the_one_in_use(tmp_path: Path) -> None:
    assert "TI2V-5B: missing." in models("status").stdout
    fetched = models("download", "ti2v-5b")
    assert (fetched.exit_code, fetched.stdout.strip()) == (0, str(place(tmp_path)))
    assert "to fetch into" in fetched.stderr
    assert "TI2V-5B: ready." in models("status").stdout
    assert "they are checked" in models("download", "TI2V-5B").stderr


@pytest.mark.usefixtures("hub")
def test_a_later_plan_knows_the_speed_of_the_last_download(tmp_path: Path) -> None:
    assert "at the last download's speed" not in models("download", "ti2v-5b").stderr
    shutil.rmtree(place(tmp_path))
    planned = models("download", "ti2v-5b", "--plan").stderr
    assert re.search(r"to fetch into .*, about \d+ s at the last download's speed; ", planned)


@pytest.mark.usefixtures("hub")
def test_its_files_make_a_video(tmp_path: Path) -> None:
    models("download", "ti2v-5b")
    small = ["--model", "TI2V-5B", "--size", "64x64", "--frames", "5", "--steps", "2"]
    made = CliRunner().invoke(app, ["generate", "a cat", "-o", str(tmp_path / "cat.mp4"), *small])
    assert made.exit_code == 0, made.stderr
    assert "These are the weights of ti2v-5b/dev." in made.stderr


def test_the_few_step_lora_is_fetched_like_weights_and_the_preset_finds_it(hub: LoopbackHub, tmp_path: Path) -> None:
    lora = VARIANTS[SPEC.model_type][FEW_STEP]
    content = lora_for(SPEC.model_type, tmp_path / "made.safetensors").read_bytes()
    hub.also(lora.repository or "", {lora.files["single"].path: content})
    models("download", "ti2v-5b")
    fast = ["generate", "a cat", "-o", str(tmp_path / "cat.mp4"), "--model", "TI2V-5B", "--preset", "fast"]
    small = ["--size", "64x64", "--frames", "5"]
    refused = CliRunner().invoke(app, [*fast, *small])
    assert isinstance(refused.exception, InvalidRequest)
    assert "`wan22 models download ti2v-5b --variant few-step`" in refused.exception.detail
    assert "few-step: missing;" in models("status").stdout
    fetched = models("download", "ti2v-5b", "--variant", "few-step")
    assert (fetched.exit_code, fetched.stdout.strip()) == (0, str(tmp_path / "loras" / SPEC.slug / "few-step"))
    assert "few-step: ready;" in models("status").stdout
    assert models("verify", "ti2v-5b", "--variant", "few-step").exit_code == 0
    made = CliRunner().invoke(app, [*fast, *small, "--json"])
    assert made.exit_code == 0, made.stderr
    assert "Wan2_2_5B_FastWanFullAttn_lora_rank_128_bf16 was distilled for 3 steps" in made.stdout


def test_the_plan_alone_fetches_nothing(hub: LoopbackHub, tmp_path: Path) -> None:
    planned = models("download", "ti2v-5b", "--plan")
    assert f"{len(REAL)} of {len(REAL)} files to fetch" in planned.stderr
    assert f"{BIG}: " in planned.stdout
    assert not place(tmp_path).exists()
    assert hub.sent(BIG) == 0


def test_a_plan_that_does_not_fit_says_so(hub: LoopbackHub) -> None:
    lfs = {"oid": "0" * 64, "size": 10**15}
    hub.list_also({"type": "file", "path": "vae/huge.safetensors", "size": 10**15, "oid": "0" * 40, "lfs": lfs})
    planned = models("download", "ti2v-5b", "--plan")
    assert isinstance(planned.exception, DiskFull)
    assert "vae/huge.safetensors: " in planned.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_a_download_at_once_and_it_goes_on_later(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.fault(BIG, Fault(stall_after=300_000, times=1))
    process = subprocess.Popen(
        [sys.executable, "-m", "wan22", "models", "download", "ti2v-5b"], stdout=PIPE, stderr=PIPE, text=True
    )
    part = place(tmp_path) / f"{BIG}.part"
    while not part.exists() or part.stat().st_size < 300_000:  # what is still in the sockets is lost
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert told.splitlines()[-1] == "Stopped. Start it again to go on: what was fetched is kept."
    assert models("download", "ti2v-5b").exit_code == 0
    assert hub.sent(BIG) == REAL[BIG].stat().st_size
    assert place(tmp_path).is_dir()


@pytest.mark.usefixtures("hub")
def test_verify_names_what_is_wrong_and_repair_mends_it(tmp_path: Path) -> None:
    models("download", "ti2v-5b")
    content = bytearray((place(tmp_path) / BIG).read_bytes())
    content[-1] ^= 1
    (place(tmp_path) / BIG).write_bytes(content)
    assert models("verify", "ti2v-5b", "--quick").exit_code == 0
    found = models("verify", "ti2v-5b")
    assert found.stdout == f"{BIG}: wrong content\n"
    assert isinstance(found.exception, ModelCorrupt)
    assert "verify ti2v-5b --repair" in found.exception.hint
    assert "TI2V-5B: corrupt." in models("status").stdout
    assert "  dev: corrupt;" in models("status").stdout
    assert models("verify", "ti2v-5b", "--repair").exit_code == 0
    assert models("verify", "ti2v-5b").exit_code == 0


@pytest.mark.usefixtures("hub")
def test_a_quick_verify_looks_at_headers(tmp_path: Path) -> None:
    models("download", "ti2v-5b")
    content = bytearray((place(tmp_path) / BIG).read_bytes())
    content[100] ^= 0x80
    (place(tmp_path) / BIG).write_bytes(content)
    found = models("verify", "ti2v-5b", "--quick")
    assert (found.exit_code, found.stdout) == (1, f"{BIG}: damaged header\n")
    assert models("verify", "ti2v-5b", "--quick", "--repair").exit_code == 0
    assert models("verify", "ti2v-5b", "--quick").exit_code == 0


def test_a_download_that_no_source_gives_says_so_and_keeps_the_rest(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.fault(BIG, Fault(status=404))
    refused = models("download", "ti2v-5b")
    assert isinstance(refused.exception, DownloadFailed)
    assert BIG in refused.exception.detail
    assert (place(tmp_path) / "model_index.json").is_file()


def test_an_unknown_model_is_told_the_three() -> None:
    refused = models("download", "t2v")
    assert isinstance(refused.exception, InvalidRequest)
    assert "t2v-a14b, i2v-a14b, ti2v-5b" in refused.exception.detail


def converted(home: Path, *flags: str) -> Result:
    if not place(home).exists():
        shutil.copytree(SHIPPED / SPEC.slug, place(home))
    return models("convert", "ti2v-5b", "--to", "int8", *flags)


@pytest.mark.usefixtures("hub")
def test_a_smaller_variant_is_made_beside_its_source_and_used(tmp_path: Path) -> None:
    done = converted(tmp_path)
    assert (done.exit_code, done.stdout.strip()) == (0, str(place(tmp_path).parent / "int8"))
    assert "to write into" in done.stderr
    assert "int8: ready;" in models("status").stdout
    small = ["--model", "TI2V-5B", "--size", "64x64", "--frames", "5", "--steps", "2", "--precision", "int8"]
    made = CliRunner().invoke(app, ["generate", "a cat", "-o", str(tmp_path / "cat.mp4"), *small])
    assert made.exit_code == 0, made.stderr
    assert "These are the weights of ti2v-5b/int8." in made.stderr


@pytest.mark.usefixtures("hub")
def test_the_originals_may_go_then(tmp_path: Path) -> None:
    assert converted(tmp_path, "--remove-originals").exit_code == 0
    assert not place(tmp_path).exists()
    assert "TI2V-5B: ready." in models("status").stdout


@pytest.mark.usefixtures("hub")
def test_nothing_to_convert_has_its_cure() -> None:
    refused = models("convert", "ti2v-5b", "--to", "fp8")
    assert isinstance(refused.exception, ModelMissing)
    assert "Run `wan22 models download ti2v-5b`." in refused.exception.detail

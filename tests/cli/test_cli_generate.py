"""`wan22 generate` against a server that runs: the file, what is printed where, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image
from support.loras import lora_for
from typer.testing import CliRunner, Result

from wan22.cli.app import app
from wan22.errors import ConfigurationError, InvalidRequest
from wan22.models.demo_weights import about
from wan22.tasks import ModelType

SMALL = ["--size", "64x64", "--frames", "5", "--steps", "2"]


@pytest.fixture(autouse=True)
def _here(server: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAN22_HOME", str(home))


def generate(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["generate", *map(str, arguments)])


def test_it_prints_the_path_of_the_file_that_it_made(tmp_path: Path) -> None:
    result = generate("a cat", "-o", "cat.mp4", *SMALL)
    assert (result.exit_code, result.stdout) == (0, "cat.mp4\n")
    assert (tmp_path / "cat.mp4").read_bytes()[4:8] == b"ftyp"
    assert [path.name for path in tmp_path.iterdir()] == ["cat.mp4"]


def test_progress_goes_to_stderr() -> None:
    told = generate("a cat", "-o", "cat.mp4", *SMALL).stderr.splitlines()
    assert told[-3:-1] == ["decoding", "encoding"]
    assert told[-1] == about(ModelType.T2V_A14B)
    assert "denoising" in told


def test_without_a_name_the_file_has_the_task_s() -> None:
    [name] = generate("a cat", *SMALL).stdout.split()
    assert name.startswith("t2v-a14b-")
    assert Path(name).is_file()


def test_json_is_one_line_with_the_files() -> None:
    result = generate("a cat", "-o", "cat.webm", "--seed", 7, "--json", *SMALL)
    [line] = result.stdout.splitlines()
    task = json.loads(line)
    assert task["files"] == ["cat.webm"]
    assert (task["status"], task["request"]["seed"], task["outputs"][0]["format"]) == ("completed", 7, "webm")


def test_several_are_numbered() -> None:
    assert generate("a cat", "-o", "cat.mp4", "--count", 2, *SMALL).stdout.split() == ["cat-0.mp4", "cat-1.mp4"]


def test_a_picture_is_sent_and_chooses_the_model(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "teal").save("start.png")
    task = json.loads(generate("waves", "--image", "start.png", "--json", *SMALL).stdout)
    assert task["model_type"] == "I2V-A14B"
    assert task["request"]["image"]["width"] == 64


def test_an_old_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "cat.mp4").write_bytes(b"old")
    refused = generate("a cat", "-o", "cat.mp4", *SMALL)
    assert isinstance(refused.exception, ConfigurationError)
    assert (tmp_path / "cat.mp4").read_bytes() == b"old"
    assert generate("a cat", "-o", "cat.mp4", "--force", *SMALL).exit_code == 0
    assert (tmp_path / "cat.mp4").read_bytes() != b"old"


def test_wrong_fields_are_named() -> None:
    wrong = generate("a cat", "--fps", 7, "--frames", 5000).exception
    assert isinstance(wrong, InvalidRequest)
    assert {error.field for error in wrong.errors} == {"fps", "num_frames"}


def test_loras_are_sent_by_name_and_weight(home: Path) -> None:
    lora_for(ModelType.T2V_A14B, home / "loras" / "dusk.safetensors")
    task = json.loads(generate("a cat", "--lora", "dusk=0.5", "--json", *SMALL).stdout)
    assert [(use["name"], use["weight"]) for use in task["request"]["loras"]] == [("dusk", 0.5)]
    wrong = generate("a cat", "--lora", "dusk=much", "--lora", "dask").exception
    assert isinstance(wrong, InvalidRequest)
    assert [error.field for error in wrong.errors] == ["loras.0.weight"]


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "wan22", "generate", *arguments]
    env = {**os.environ, **environment}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=env)


def test_wrong_fields_are_told_by_flag_with_exit_code_2() -> None:
    _, told = (process := start("a cat", "--fps", "7")).communicate(timeout=60)
    assert process.returncode == 2
    assert told.startswith("wan22: --fps: must be one of 8, 12, 16, 24")


def test_a_wrong_lora_is_told_by_its_flag() -> None:
    _, told = (process := start("a cat", "--lora", "dask")).communicate(timeout=60)
    assert process.returncode == 2
    assert told.startswith("wan22: --lora dask: There is no LoRA of that name")


def test_a_prompt_that_is_empty_is_told_by_its_name() -> None:
    _, told = (process := start("")).communicate(timeout=60)
    assert process.returncode == 2
    assert told.startswith("wan22: prompt: T2V-A14B needs")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_cancels_the_task(server: str) -> None:
    process = start("a long one", "--steps", "200", "--size", "64x64", "--frames", "5")
    with httpx.Client(base_url=server) as client:
        tasks = "/api/v1/generation"
        while not (running := client.get(tasks, params={"status": "running"}).json()["tasks"]):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=60)
        ended = client.get(f"{tasks}/{running[0]['task_id']}").json()
    assert (process.returncode, out) == (130, "")
    assert told.splitlines()[-1] == "Cancelled."
    assert ended["status"] == "cancelled" or ended["cancel_requested"]


def test_any_code_page_will_do() -> None:
    process = start("水", "-o", "水.mp4", *SMALL, PYTHONIOENCODING="cp437")
    out, told = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "\\u6c34.mp4\n"), told
    assert Path("水.mp4").exists()


@pytest.mark.slow
def test_without_a_server_it_brings_its_own(tmp_path: Path) -> None:
    process = start("waves", "-o", "waves.mp4", *SMALL, WAN22_HOME=str(tmp_path / "own"), WAN22_SERVER__PORT="9")
    out, told = process.communicate(timeout=200)
    assert (process.returncode, out) == (0, "waves.mp4\n"), told
    assert Path("waves.mp4").read_bytes()[4:8] == b"ftyp"
    assert not (tmp_path / "own" / "server.json").exists()


def test_a_failed_task_ends_with_its_sentence_and_1(server: str, home: Path) -> None:
    """The server's folder of outputs is taken away by a file of its name, so that nothing can be written."""
    outputs = home / "outputs"
    outputs.rename(home / "away")
    outputs.write_text("")
    try:
        result = generate("a cat", *SMALL)
    finally:
        outputs.unlink()
        (home / "away").rename(outputs)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-2].startswith("wan22: ")

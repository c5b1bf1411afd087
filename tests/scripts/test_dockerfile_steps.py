"""The Dockerfile without Docker: what it copies is there, what it says is safe, and its cpu target's steps work.

In the slow test a virtual environment in a plain folder stands in for an image. Two things differ from a build: the
step that makes the user is left out, because it would make one on this machine; and PyTorch's index is named only if
pip would take a CUDA build without it, because a machine that has its wheels elsewhere may have no way there.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from commands import RealCommands
from dockerfile import is_ignored, parse, patterns, target, visible
from server import free_port, running
from torch_build import DEFAULT, asker

ROOT = Path(__file__).parents[2]
STAGES = parse((ROOT / "Dockerfile").read_text("utf-8"))
IGNORE = patterns((ROOT / ".dockerignore").read_text("utf-8"))
TARGETS = ["cpu", "cuda"]


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("pyproject.toml", False),
        ("scripts/constraints.txt", False),
        ("scripts/quickstart.py", True),
        ("wan22/api/app.py", False),
        ("wan22/api/__pycache__/app.cpython-312.pyc", True),
        (".venv/bin/python", True),
        (".git/config", True),
        ("tests/test_settings.py", True),
    ],
)
def test_the_build_sees_what_it_needs_and_nothing_else(path: str, ignored: bool) -> None:
    assert is_ignored(path, IGNORE) is ignored


@pytest.mark.parametrize("name", TARGETS)
def test_every_copied_file_is_there_and_not_ignored(name: str) -> None:
    for copy in target(STAGES, name).all("COPY"):
        *sources, _ = copy.split()
        for source in sources:
            assert visible(ROOT, IGNORE, source), f"COPY {source} takes nothing"


@pytest.mark.parametrize("name", TARGETS)
def test_every_version_comes_from_the_constraints(name: str) -> None:
    for run in target(STAGES, name).all("RUN"):
        assert "pip install" not in run or "-c constraints.txt" in run or run.endswith("--no-deps .")


@pytest.mark.parametrize("name", TARGETS)
def test_the_server_runs_as_nobody_special_and_keeps_its_data_in_a_volume(name: str) -> None:
    stage = target(STAGES, name)
    assert stage.steps[-1] == ("USER", "wan22")
    assert stage.all("VOLUME") == ["/data"]
    assert "WAN22_HOME=/data" in stage.all("ENV")
    assert stage.all("EXPOSE") == ["8000"]


@pytest.mark.parametrize("name", TARGETS)
def test_no_key_is_baked_in(name: str) -> None:
    assert "API_KEY" not in " ".join(rest for _, rest in target(STAGES, name).steps)


def test_the_health_check_needs_nothing_that_a_slim_image_lacks() -> None:
    command = json.loads(STAGES["base"].all("HEALTHCHECK")[0].partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "healthcheck", "exec")


def test_both_targets_differ_only_in_torch() -> None:
    cpu, cuda = ([step for step in STAGES[name].steps if step[0] not in ("ARG", "ENV")] for name in TARGETS)
    assert cpu[1:] == cuda[1:]


class Image:
    """A folder and a virtual environment in the place of an image."""

    def __init__(self, folder: Path) -> None:
        self.app, self.data, self.venv = folder / "app", folder / "data", folder / "venv"
        self.app.mkdir()
        subprocess.run([sys.executable, "-m", "venv", str(self.venv)], check=True)
        self.bin = self.venv / ("Scripts" if sys.platform == "win32" else "bin")
        self.env = {**os.environ, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}

    def carry_out(self, word: str, rest: str) -> None:
        if word == "COPY":
            *sources, to = rest.split()
            for source in sources:
                self._copy(source, self.app / to)
        elif word == "ENV":
            pairs = dict(pair.split("=", 1) for pair in shlex.split(rest))
            self.env |= {name: str(self.data) if value == "/data" else value for name, value in pairs.items()}
        elif word == "RUN" and not rest.startswith("useradd "):
            subprocess.run(self._near(rest), shell=True, cwd=self.app, env=self.env, check=True)

    def _copy(self, source: str, to: Path) -> None:
        for file in visible(ROOT, IGNORE, source):
            below = file.relative_to(ROOT / source) if (ROOT / source).is_dir() else Path(file.name)
            (to / below).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to / below)

    def _near(self, run: str) -> str:
        """The step, without PyTorch's index where pip takes a CPU build by itself."""
        words = run.split()
        if "--index-url" not in words:
            return run
        at = words.index("--index-url")
        pin = next(
            line for line in (self.app / "constraints.txt").read_text().splitlines() if line.startswith("torch==")
        )
        python = str(self.bin / "python")
        build = asker(RealCommands(self.app), python, pin.split()[0], system="Linux")(DEFAULT)
        return run if build is None or build.cuda else " ".join(words[:at] + words[at + 2 :])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform == "win32", reason="the steps are written for a Linux shell")
def test_the_steps_of_the_cpu_target_make_a_server_that_answers(tmp_path: Path) -> None:
    image, stage = Image(tmp_path), target(STAGES, "cpu")
    for word, rest in stage.steps:
        image.carry_out(word, rest)
    command = json.loads(stage.all("CMD")[-1])
    refused = subprocess.run(
        [image.bin / command[0], *command[1:]],
        cwd=image.app,
        env=image.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "WAN22_SERVER__API_KEY" in refused.stderr
    port = free_port()
    env = [f"{name}={value}" for name, value in image.env.items()]
    served = ["env", *env, f"WAN22_SERVER__PORT={port}", "WAN22_SERVER__API_KEY=key", str(image.bin / command[0])]
    with running([*served, *command[1:]], port=port, log=tmp_path / "log") as server:
        assert server.process
        health = json.loads(STAGES["base"].all("HEALTHCHECK")[0].partition("CMD ")[2])
        check = [str(image.bin / "python"), "-c", health[2].replace(":8000", f":{port}")]
        assert subprocess.run(check, check=False).returncode == 0
        for page in ("/docs", "/api/v1/dashboard/html"):
            assert httpx.get(server.url + page, headers={"X-API-Key": "key"}).status_code == 200, "all files came along"
    packages = subprocess.run([image.bin / "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert "nvidia-cublas" not in packages

"""The README's first command in a clean copy, from nothing to a video; and again, which takes no installation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("scripts", "wan22", "pyproject.toml", "README.md", "LICENSE")


def copy(folder: Path) -> Path:
    """What the quickstart needs of a checkout, and nothing that was made in this one."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder


def quickstart(checkout: Path, home: Path) -> list[str]:
    """The lines on stdout of `quickstart.py --once`, run by the Python below any virtual environment."""
    python = getattr(sys, "_base_executable", sys.executable)
    command = [python, str(checkout / "scripts" / "quickstart.py"), "--once", "--port", "0"]
    env = {**os.environ, "WAN22_HOME": str(home)}
    return subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def packages(python: Path) -> set[str]:
    """Names and versions of what is installed."""
    listed = [str(python), "-m", "pip", "list", "--format=freeze", "--exclude-editable", "--local"]
    return set(subprocess.run(listed, stdout=subprocess.PIPE, text=True, check=True).stdout.split())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_clean_checkout_gets_to_a_video_and_the_second_time_without_installing(tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    checkout = copy(tmp_path / "checkout")
    video = Path(quickstart(checkout, tmp_path / "home")[-1])
    assert video.read_bytes()[4:8] == b"ftyp", "an MP4 file"
    python = checkout / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    installed, pip_log = packages(python), (checkout / ".venv" / "wan22-pip.log").read_bytes()
    video.unlink()

    assert Path(quickstart(checkout, tmp_path / "home")[-1]) == video
    assert video.is_file()
    assert (checkout / ".venv" / "wan22-pip.log").read_bytes() == pip_log
    assert packages(python) == installed
    assert not any(package.startswith("nvidia-cublas") for package in installed) or shutil.which("nvidia-smi")

"""A wheel of the tree holds every file that the package reads, and no folder of data passes for code."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = "from setuptools.build_meta import build_wheel; build_wheel('.')"

pytest.importorskip("setuptools")


def test_a_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    """Built in a copy, because setuptools leaves its own folders beside what it builds."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    package = shutil.copytree(ROOT / "wan22", tmp_path / "wan22", ignore=shutil.ignore_patterns("__pycache__"))
    expected = {path.relative_to(tmp_path).as_posix() for path in package.rglob("*") if path.is_file()}
    built = subprocess.run([sys.executable, "-c", BUILD], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert "importable" not in built.stderr, "setuptools took a folder of data for a package"
    [wheel] = tmp_path.glob("*.whl")
    assert {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("wan22/")} == expected

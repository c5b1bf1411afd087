"""The bench for GPUs runs as a whole with small sizes, goes on where it ended, and says what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.gpu_check import CAPS_GB, SIZES, WAYS, pieces
from bench.gpu_table import write_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench" / "gpu_check.py"
EXPERTS = ("T2V-A14B", "I2V-A14B")


def checked(folder: Path, *options: str) -> dict[str, Any]:
    """The rows of the folder after the script has run."""
    command = [sys.executable, str(SCRIPT), "--tiny", "--out", str(folder), *options]
    subprocess.run(command, check=True, capture_output=True, timeout=280)
    rows: dict[str, Any] = json.loads((folder / "results.json").read_text("utf-8"))
    return rows


def test_all_that_is_promised_are_pieces() -> None:
    names = [piece.name for piece in pieces("", tiny=False)]
    assert len(names) == len(set(names)) == 3 * len(SIZES) * len(CAPS_GB) * len(WAYS)
    assert "T2V-A14B/1280x720x81/none/sequential" in names
    some = [piece.name for piece in pieces("*/854x480x16/12", tiny=False)]
    assert len(some) == 3 * len(WAYS)


@pytest.mark.parametrize("model", ["TI2V-5B", *(pytest.param(one, marks=pytest.mark.slow) for one in EXPERTS)])
def test_our_way_and_bare_diffusers_are_measured_and_not_twice(tmp_path: Path, model: str) -> None:
    rows = checked(tmp_path, "--only", f"{model}/64x64x4/6/ours")
    rows = checked(tmp_path, "--only", f"{model}/64x64x4/6/group")
    ours, group = (rows[f"{model}/64x64x4/6/{way}"] for way in ("ours", "group"))
    for row in (ours, group):
        assert "error" not in row, row
        assert row["frames"] == 5
        assert row["step_s"] > 0
        assert row["share_of_peak"] > 0
        assert {"text_encode", "denoise", "decode"} <= set(row["phases"])
    assert ours["plan"]["offload"] in ("blocks", "group")
    assert ours["forecast"]["peak_vram_bytes"] <= 6e9
    before = (tmp_path / "results.json").stat().st_mtime_ns
    assert checked(tmp_path, "--only", f"{model}/64x64x4/6/ours") == rows
    assert (tmp_path / "results.json").stat().st_mtime_ns == before
    table = (tmp_path / "table.md").read_text("utf-8").splitlines()
    assert len(table) == 4


def test_a_way_that_can_t_run_is_a_row_with_its_reason(tmp_path: Path) -> None:
    row = {"plan": {}, "forecast": {}, "error": "CUDA out of memory | Tried to allocate 20 GiB"}
    write_table({"T2V-A14B/64x64x4/6/model": row}, tmp_path / "table.md")
    assert "CUDA out of memory / Tried to allocate 20 GiB" in (tmp_path / "table.md").read_text("utf-8")

"""`wan22 optimizations` lists the registry, in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from wan22.cli.app import app
from wan22.orchestrator.optimizations.registry import BY_ID


def test_each_is_listed_with_its_reason(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["optimizations", "--home", str(tmp_path)])
    assert told.exit_code == 0, told.output
    assert all(f"  {name}: " in told.output for name in BY_ID)


def test_as_json_with_what_was_measured(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["optimizations", "--home", str(tmp_path), "--json", "--measure"])
    assert told.exit_code == 0, told.output
    found = {one["id"]: one for one in json.loads(told.stdout)["optimizations"]}
    assert list(found) == list(BY_ID)
    assert found["mmap-loading"]["gain"]["times_faster"] > 0

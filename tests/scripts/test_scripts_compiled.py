"""The bench of compiled blocks tells the first task from later ones, and a frame that differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench.compiled import Row, said, work


def test_later_tasks_are_told_apart_from_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    frames = np.zeros((3, 2, 8, 8, 3), np.uint8)
    plain, row = Row([9.0, 4.0, 5.0], frames), Row([40.0, 3.0, 2.0], frames.copy())
    row.frames[1, 0] = 255
    figures = said("compiled", row, plain)
    assert (figures["first_s"], figures["later_s"], figures["later_of_plain"]) == (40.0, 2.0, 0.5)
    assert figures["psnr_db_least"] < 10
    assert capsys.readouterr().out.startswith("compiled ")


def test_every_task_is_made_and_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    row = work("ti2v", 2, tmp_path, is_compiled=False)
    assert row.frames.shape == (2, 17, 128, 224, 3)
    assert len(row.seconds) == 2
    assert row.later_s == row.seconds[1] > 0

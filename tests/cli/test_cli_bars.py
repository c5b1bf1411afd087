"""Bars of a download fit the terminal: one line a file, whose name can still be told from the others'."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from wan22.cli.bars import Bars, shortened
from wan22.models.download import DownloadProgress, FileProgress

GB = 10**9
SHARDS = [
    f"{part}/diffusion_pytorch_model-{number:05}-of-00012.safetensors"
    for part in ("transformer", "transformer_2")
    for number in (1, 12)
]
FILES = tuple(FileProgress(path, 5 * GB, GB, "hub", state="fetching") for path in SHARDS)
FETCHING = DownloadProgress("running", FILES, fetched_bytes=4 * GB, bytes_per_s=5e7)


def drawn(*, terminal: bool, width: int = 80) -> list[str]:
    """The lines that are on the screen at the end."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None, legacy_windows=False)
    with Bars(console) as bars:
        bars.show(FETCHING)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above
    return text.rpartition("\x1b[2K")[2].splitlines()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_each_file_has_one_line_that_fits(width: int) -> None:
    lines = [line for line in drawn(terminal=True, width=width) if "GB" in line]
    assert len(lines) == len(SHARDS) + 1
    assert lines[0].lstrip("\r").startswith("all files ")
    assert all("1.0/5.0 GB" in line and len(line.rstrip()) <= width for line in lines[1:])


def test_files_are_told_apart_by_their_short_names() -> None:
    assert len({shortened(path) for path in SHARDS}) == len(SHARDS)
    assert shortened("vae/config.json") == "vae/config.json"


def test_without_a_terminal_there_are_no_bars() -> None:
    assert drawn(terminal=False) == []

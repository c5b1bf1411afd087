"""The quickstart's own words and ends. The whole of it is run by hand and by test_scripts_quickstart_whole.py."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from commands import SetupFailed
from first_video import addresses, generate, keep
from server import Server

OPTIONS = argparse.Namespace(prompt="A cat", model=None)
SERVER = Server("http://127.0.0.1:8000")


def fake_python(folder: Path, body: str) -> Path:
    """An executable in Python's place, that does this instead."""
    script = folder / "python"
    script.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    script.chmod(0o755)
    return script


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake interpreter is a script with a shebang")


def test_the_path_is_the_commands_last_line(tmp_path: Path) -> None:
    python = fake_python(tmp_path, "print('a word'); print('/videos/first.mp4')")
    assert generate(python, SERVER, OPTIONS) == Path("/videos/first.mp4")


def test_prompt_server_and_model_reach_the_command(tmp_path: Path) -> None:
    python = fake_python(tmp_path, "print('|'.join(sys.argv[1:]).replace('//', ''))")
    told = str(generate(python, SERVER, argparse.Namespace(prompt="A cat", model="TI2V-5B")))
    for part in ("-m|wan22|generate|A cat|", "--server|http:127.0.0.1:8000", "--model|TI2V-5B", "--force"):
        assert part in told


def test_a_failed_video_is_a_failure_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="start again"):
        generate(fake_python(tmp_path, "sys.exit(1)"), SERVER, OPTIONS)


def test_an_interrupted_video_is_no_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        generate(fake_python(tmp_path, "sys.exit(130)"), SERVER, OPTIONS)


def test_video_dashboard_and_docs_are_named(tmp_path: Path) -> None:
    text = "\n".join(addresses("http://127.0.0.1:8000", tmp_path / "first-video.mp4"))
    for word in (
        "first-video.mp4",
        "http://127.0.0.1:8000/api/v1/dashboard/html",
        "http://127.0.0.1:8000/docs",
    ):
        assert word in text


def test_a_server_of_somebody_else_is_left_running(tmp_path: Path) -> None:
    assert keep(SERVER, tmp_path / "log") == 0


def test_a_server_that_ends_by_itself_is_a_fault_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("killed for memory")
    process = subprocess.Popen([sys.executable, "-c", ""])
    with pytest.raises(SetupFailed, match="killed for memory"):
        keep(Server("http://127.0.0.1:8000", process), tmp_path / "log")

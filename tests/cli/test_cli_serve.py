"""`wan22 serve` as a process: it says where it listens, is alone in its home, and stops quietly."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from wan22.cli.address import answers, find_server
from wan22.client import Client
from wan22.settings import load_settings

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT and SIGTERM for one process")


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "wan22", "serve", "--port", "0", "--home", str(home), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


def announced(process: subprocess.Popen[str]) -> str:
    """The first URL that it says."""
    assert process.stdout
    found = re.search(r"listens on (http://127\.0\.0\.1:\d+)", process.stdout.readline())
    assert found, process.stderr and process.stderr.read()
    return found[1]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    started = start(tmp_path)
    yield started
    started.kill()
    started.communicate()


def test_it_is_found_by_its_home_and_alone_in_it(process: subprocess.Popen[str], tmp_path: Path) -> None:
    url = announced(process)
    assert find_server(load_settings(storage={"home": tmp_path})) == url
    _, told = (second := start(tmp_path)).communicate(timeout=60)
    assert second.returncode == 2
    assert "Another server" in told
    assert "Traceback" not in told


@posix
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_quietly(process: subprocess.Popen[str], tmp_path: Path, stop: int) -> None:
    url = announced(process)
    process.send_signal(stop)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in told
    assert "GET /" not in told
    assert not answers(url, load_settings())
    assert not (tmp_path / "server.json").exists()


def test_a_key_is_asked_for_and_taken(tmp_path: Path) -> None:
    process = start(tmp_path, "--api-key", "sesame")
    try:
        url = announced(process)
        with Client(url, api_key="sesame") as client:
            assert client.list().tasks == ()
        assert httpx.get(f"{url}/api/v1/generation").status_code == 401
        assert answers(url, load_settings())  # it is one of ours, though it wants another key
    finally:
        process.kill()
        process.communicate()


def test_nobody_is_found_in_an_empty_home(tmp_path: Path) -> None:
    assert find_server(load_settings(storage={"home": tmp_path}, server={"port": 9})) is None


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"url": "http://127.0.0.1:9"}', '{"url": 3}'])
def test_a_note_left_by_a_crash_is_passed_over(tmp_path: Path, note: str) -> None:
    (tmp_path / "server.json").write_text(note)
    assert find_server(load_settings(storage={"home": tmp_path}, server={"port": 9})) is None

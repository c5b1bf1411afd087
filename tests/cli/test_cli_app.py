"""The command line answers at once, and ends an error with its cure and an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wan22 import __version__

HEAVY = ("torch", "diffusers", "transformers", "fastapi", "uvicorn", "numpy", "PIL")
IMPORTED = f"""
import sys
from wan22.cli import main
sys.argv = ["wan22", *sys.argv[1:]]
try:
    main()
finally:
    print("heavy:", [name for name in {HEAVY} if name in sys.modules])
"""


def run(*arguments: str, code: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    start = ["-c", code] if code else ["-m", "wan22"]
    env = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **environment}
    command = [sys.executable, *start, *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=60, env=env, encoding="utf-8")


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["serve", "--help"], ["generate", "--help"], ["doctor", "--help"]]
)
def test_nothing_heavy_is_imported_to_answer(arguments: list[str]) -> None:
    answered = run(*arguments, code=IMPORTED)
    assert answered.returncode == 0
    assert answered.stdout.splitlines()[-1] == "heavy: []"


def test_a_refusal_imports_nothing_heavy() -> None:
    answered = run("serve", "--host", "0.0.0.0", code=IMPORTED)
    assert answered.stdout.splitlines()[-1] == "heavy: []"


def test_the_version() -> None:
    assert run("--version").stdout == f"wan22 {__version__}\n"


def test_help_lists_the_commands() -> None:
    answered = run("-h").stdout
    assert all(command in answered for command in ("serve", "generate", "doctor", "settings"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "studio.example"])
def test_an_open_door_without_a_key_is_refused_in_one_sentence(host: str) -> None:
    answered = run("serve", "--host", host)
    assert answered.returncode == 2
    assert answered.stdout == ""
    assert answered.stderr.splitlines() == [
        f"wan22: Listening on {host!r} opens the server to other machines and needs an API key; "
        "set WAN22_SERVER__API_KEY, or listen on 127.0.0.1."
    ]


@pytest.mark.parametrize(
    ("flag", "value", "cure"),
    [
        ("--precision", "fp12", "'bf16'"),
        ("--variant", "x", "demo"),
        ("--log-level", "loud", "'info'"),
        ("--port", "99999", "65535"),
    ],
)
def test_a_flag_that_is_wrong_is_named_with_what_it_may_be(flag: str, value: str, cure: str) -> None:
    answered = run("serve", flag, value)
    assert answered.returncode == 2
    assert flag in answered.stderr
    assert cure in answered.stderr
    assert "WAN22_" not in answered.stderr


def test_a_variable_that_is_wrong_is_named() -> None:
    answered = run("serve", WAN22_SERVER__PORT="99999")
    assert answered.returncode == 2
    assert answered.stderr.startswith(
        "wan22: The setting server.port can't be used: it should be less than or equal to 65535. "
        "Correct it in WAN22_SERVER__PORT."
    )


def test_a_device_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    answered = run("serve", "--port", "0", "--device", "cuda:99", WAN22_HOME=str(tmp_path))
    assert answered.returncode == 2
    assert answered.stderr.startswith("wan22: device.device asks for cuda:99")
    assert not (tmp_path / "wan22.db").exists()


def test_a_settings_file_that_is_not_there(tmp_path: Path) -> None:
    answered = run("doctor", "--config", str(tmp_path / "none.toml"))
    assert answered.returncode == 2
    assert "There is no settings file" in answered.stderr


def test_a_server_that_is_not_there_is_told_with_the_cure(tmp_path: Path) -> None:
    answered = run("generate", "a cat", "--server", "http://127.0.0.1:9", WAN22_HOME=str(tmp_path))
    assert answered.returncode == 1
    assert answered.stderr.splitlines() == [
        "wan22: No WAN22 server answers at http://127.0.0.1:9.",
        "  Start it with `wan22 serve`.",
    ]


def test_what_nobody_foresaw_is_one_line_unless_debug_is_asked_for() -> None:
    burst = "from wan22.cli.app import app, main\n@app.command()\ndef burst(): raise ValueError('odd')\nmain()"
    quiet, loud = run("burst", code=burst), run("--debug", "burst", code=burst)
    assert quiet.returncode == loud.returncode == 1
    assert quiet.stderr.splitlines()[0] == "wan22: something unforeseen went wrong (ValueError: odd)."
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr

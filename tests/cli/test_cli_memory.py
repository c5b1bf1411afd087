"""`wan22 models load` and `unload` with the server that runs, and without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from wan22.cli.app import app
from wan22.errors import InvalidRequest, ServerFault


def models(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", *arguments])


@pytest.mark.usefixtures("server")
def test_a_model_is_loaded_and_unloaded_by_the_server_of_the_home(home: Path) -> None:
    where = ["--home", str(home)]
    loaded = models("load", "ti2v-5b", *where)
    assert loaded.stdout.startswith("TI2V-5B is now in memory: demo in fp32 on cpu, ")
    assert models("load", "TI2V-5B", *where).stdout.startswith("TI2V-5B was in memory: demo ")
    assert models("unload", "ti2v-5b", *where).stdout.startswith("TI2V-5B is no longer in memory: demo ")
    assert models("unload", "ti2v-5b", *where).stdout == "TI2V-5B was not in memory.\n"


def test_a_server_can_be_named(server: str, tmp_path: Path) -> None:
    assert models("unload", "ti2v-5b", "--server", server, "--home", str(tmp_path)).exit_code == 0


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_without_a_server_the_cure_is_told(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAN22_SERVER__PORT", "9")
    refused = models(verb, "ti2v-5b", "--home", str(tmp_path))
    assert isinstance(refused.exception, ServerFault)
    assert "No WAN22 server runs" in refused.exception.detail
    assert "wan22 serve" in refused.exception.hint


def test_an_unknown_model_is_told_the_three() -> None:
    refused = models("load", "t2v")
    assert isinstance(refused.exception, InvalidRequest)
    assert "t2v-a14b, i2v-a14b, ti2v-5b" in refused.exception.detail

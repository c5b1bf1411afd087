"""The settings file that ships is written from the settings, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from wan22.cli.flags import settings_from
from wan22.cli.settings_file import settings_toml
from wan22.settings import Settings, load_settings

SHIPPED = Path(__file__).parents[2] / "configs" / "default.toml"
REMEDY = "run `wan22 settings > configs/default.toml`"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WAN22_HOME", str(tmp_path))
    monkeypatch.delenv("WAN22_CONFIG", raising=False)


def test_the_shipped_file_is_up_to_date() -> None:
    assert SHIPPED.read_text("utf-8") == settings_toml(), REMEDY


def test_it_sets_what_holds_without_it() -> None:
    assert load_settings(SHIPPED).model_dump() == load_settings().model_dump()


def test_every_setting_is_there_with_its_help() -> None:
    text = settings_toml()
    for room, field in Settings.model_fields.items():
        assert f"[{room}]" in text
        for name, described in field.annotation.model_fields.items():
            assert f"\n{name} = " in text or f"\n# {name} = " in text
            assert described.description


def test_no_secret_is_set() -> None:
    assert "\n# api_key = " in settings_toml()


def test_flags_go_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[server]\nport = 9000\napi_key = "a"\n[device]\nthreads = 2\n', "utf-8")
    settings = settings_from(file, server={"port": 9001, "host": None}, models={"models_dirs": []})
    assert (settings.server.port, settings.server.host, settings.device.threads) == (9001, "127.0.0.1", 2)
    assert settings.server.api_key == SecretStr("a")


def test_folders_come_as_a_list(tmp_path: Path) -> None:
    settings = settings_from(None, models={"models_dirs": [tmp_path, tmp_path / "b"]})
    assert settings.models.models_dirs == (tmp_path, tmp_path / "b")

"""Settings: where a value comes from, and what a wrong one is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from wan22.errors import ConfigurationError
from wan22.settings import Settings, load_settings


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "wan22.toml"
    path.write_text(
        "[server]\nport = 9000\nhost = 'localhost'\n\n[models]\nmodels_dirs = ['D:\\AI\\models']\n", "utf-8"
    )
    return path


def test_defaults_listen_on_loopback_only() -> None:
    server = load_settings().server
    assert (server.host, server.port, server.api_key) == ("127.0.0.1", 8000, None)


def test_flags_beat_the_environment_and_the_environment_beats_the_file(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings(config).server.port == 9000
    monkeypatch.setenv("WAN22_SERVER__PORT", "9001")
    assert load_settings(config).server.port == 9001
    assert load_settings(config, server={"port": 9002}).server.port == 9002
    assert load_settings(config).server.host == "localhost", "one value of a room leaves the others alone"


def test_the_environment_can_name_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAN22_CONFIG", str(config))
    assert load_settings().models.models_dirs == (Path(r"D:\AI\models"),)


def test_home_is_one_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WAN22_HOME", str(tmp_path))
    storage = load_settings().storage
    assert storage.home == tmp_path
    assert storage.database_path.parent == storage.outputs_dir.parent == storage.uploads_dir.parent == tmp_path


def test_a_tilde_is_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAN22_STORAGE__HOME", "~/wan22")
    assert load_settings().storage.home == Path.home() / "wan22"


def test_a_tilde_is_that_in_the_models_folders_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAN22_MODELS__MODELS_DIRS", '["~/models"]')
    assert load_settings().models.models_dirs == (Path("~/models").expanduser(),)


def test_a_misspelt_room_in_the_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAN22_SRVER__PORT", "9999")
    with pytest.raises(ConfigurationError, match="WAN22_SRVER__PORT"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[server]\nprot = 1\n", "server.prot"),
        ("[sever]\nport = 1\n", "sever"),
        ("[server]\nport = 70000\n", "server.port"),
        ('[download]\nhub = "not a url"\n', r"download\.hub .*an address must be as https://HOST"),
        ('[download]\nhub = "http://["\n', r"download\.hub"),
        ('[download]\nmirrors = ["ftp://mirror"]\n', r"download\.mirrors .*an address must be as https://HOST"),
        ('[alerts]\nwebhook_url = "file:///s3cret"\n', r"alerts\.webhook_url .*an address must be as https://HOST"),
        ("[alerts]\nvram_fraction = 97\n", r"alerts\.vram_fraction"),
        ("[server\n", "wan22.toml"),
    ],
)
def test_a_wrong_file_is_answered_with_what_to_correct(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "wan22.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=named):
        load_settings(path)


def test_a_wrong_value_is_not_repeated_and_its_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wan22.toml"
    path.write_text("[server]\napi_key = 12345\n", "utf-8")
    with pytest.raises(ConfigurationError, match=r"server\.api_key .* Correct it in .*wan22\.toml") as refusal:
        load_settings(path)
    assert "12345" not in refusal.value.detail
    monkeypatch.setenv("WAN22_LOG__LEVEL", "LOUD")
    with pytest.raises(ConfigurationError, match=r"or 'ERROR'\. Correct it in WAN22_LOG__LEVEL\."):
        load_settings()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        load_settings(tmp_path / "nowhere.toml")


def test_every_setting_has_a_help_text() -> None:
    for room in Settings.model_fields.values():
        assert room.annotation is not None
        for name, field in room.annotation.model_fields.items():
            assert field.description, name

"""Reads settings from flags, the environment and a TOML file, and says what is wrong with one, and where it was set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from wan22.errors import ConfigurationError
from wan22.settings.rooms import (
    AlertsSettings,
    DeviceSettings,
    DownloadSettings,
    LogSettings,
    MediaSettings,
    ModelsSettings,
    QueueSettings,
    ServerSettings,
    StorageSettings,
)


class Settings(BaseSettings):
    """Everything, by room."""

    model_config = SettingsConfigDict(
        env_prefix="WAN22_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    storage: StorageSettings = Field(default_factory=StorageSettings)
    server: ServerSettings = Field(default_factory=ServerSettings)
    queue: QueueSettings = Field(default_factory=QueueSettings)
    models: ModelsSettings = Field(default_factory=ModelsSettings)
    download: DownloadSettings = Field(default_factory=DownloadSettings)
    device: DeviceSettings = Field(default_factory=DeviceSettings)
    media: MediaSettings = Field(default_factory=MediaSettings)
    alerts: AlertsSettings = Field(default_factory=AlertsSettings)
    log: LogSettings = Field(default_factory=LogSettings)


def _reading(path: Path | None) -> type[Settings]:
    """The settings class that also reads the TOML file at `path`, after flags and environment."""

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            file = (TomlConfigSettingsSource(settings_cls, path),) if path else ()
            return (init_settings, env_settings, *file)

    return FromFile


def _stray_variables() -> list[str]:
    """Variables that look like settings and name no room; pydantic-settings passes over them in silence."""
    rooms = tuple(f"WAN22_{room.upper()}__" for room in Settings.model_fields)
    named = (name for name in os.environ if name.upper().startswith("WAN22_") and "__" in name)
    return sorted(name for name in named if not name.upper().startswith(rooms))


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """The settings of this process. `overrides` are values by room, as a command's flags give them.

    Raises ConfigurationError that names the setting, what is wrong with it and the cure.
    """
    named = os.environ.get("WAN22_CONFIG")
    path = config or (Path(named) if named else None)
    if path and not path.is_file():
        raise ConfigurationError(f"There is no settings file {path}. Name another with --config or WAN22_CONFIG.")
    if stray := _stray_variables():
        raise ConfigurationError(f"{stray[0]} sets nothing. Rooms are {', '.join(Settings.model_fields)}; correct it.")
    try:
        return _reading(path)(**overrides)
    except ValidationError as error:
        raise ConfigurationError(" ".join(_complaint(item, path) for item in error.errors())) from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The settings can't be read: {error}. Correct them in {path or 'WAN22_*'}."
        ) from error


def _complaint(item: ErrorDetails, path: Path | None) -> str:
    """One wrong setting: what is wrong, without the value, which may be a secret, and where it was set."""
    names = [str(part) for part in item["loc"]]
    unknown = item["type"] == "extra_forbidden"
    what = "there is no such setting" if unknown else item["msg"].replace("Input should", "it should")
    variable = f"WAN22_{'__'.join(names[:2])}".upper()
    if variable in map(str.upper, os.environ):
        where = f"in {variable}"
    else:
        where = f"in {path}" if path else f"where it was given, in a flag or in {variable}"
    return f"The setting {'.'.join(names)} can't be used: {what}. Correct it {where}."

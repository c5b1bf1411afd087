"""What the commands' flags have in common: help texts from the settings, and the way from flags to settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from wan22.settings import Settings, StorageSettings, load_settings


def help_of(room: type[BaseModel], field: str) -> str:
    """The help text of a setting."""
    return room.model_fields[field].description or ""


Config = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings; `wan22 settings` prints one to start from.")
]
Home = Annotated[Path | None, typer.Option("--home", help=help_of(StorageSettings, "home"))]


def settings_from(config: Path | None, **rooms: dict[str, Any]) -> Settings:
    """The settings with the flags that were given over them; None and empty lists were not given.

    Raises ConfigurationError.
    """
    given = {
        room: {name: value for name, value in flags.items() if value not in (None, [], ())}
        for room, flags in rooms.items()
    }
    return load_settings(config, **{room: flags for room, flags in given.items() if flags})

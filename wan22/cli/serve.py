"""`wan22 serve`: checks what can be checked at once, then hands over to `serving`, which loads the server proper."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from wan22.cli.flags import Config, Home, help_of, settings_from
from wan22.cli.listen import is_loopback
from wan22.errors import ConfigurationError
from wan22.settings import (
    DeviceSettings,
    LevelChoice,
    LogSettings,
    ModelsSettings,
    PrecisionChoice,
    ServerSettings,
    Settings,
)


def serve(
    host: Annotated[str | None, typer.Option(help=help_of(ServerSettings, "host"))] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help=help_of(ServerSettings, "port"))] = None,
    config: Config = None,
    home: Home = None,
    models_dir: Annotated[
        list[Path] | None, typer.Option(help=help_of(ModelsSettings, "models_dirs") + " May be repeated.")
    ] = None,
    variant: Annotated[str | None, typer.Option(help=help_of(ModelsSettings, "variant"))] = None,
    device: Annotated[str | None, typer.Option(help=help_of(DeviceSettings, "device"))] = None,
    precision: Annotated[PrecisionChoice | None, typer.Option(help=help_of(DeviceSettings, "precision"))] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            help=help_of(ServerSettings, "api_key") + " Better in WAN22_SERVER__API_KEY, which other users can't see."
        ),
    ] = None,
    log_level: Annotated[
        LevelChoice | None, typer.Option(case_sensitive=False, help=help_of(LogSettings, "level"))
    ] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log every HTTP request.")] = False,
) -> None:
    """Run the server until Ctrl+C."""
    settings = settings_from(
        config,
        server={"host": host, "port": port, "api_key": api_key},
        storage={"home": home},
        models={"models_dirs": models_dir, "variant": variant},
        device={"device": device, "precision": precision},
        log={"level": log_level},
    )
    refuse_open_door(settings)
    # Loaded by name, now: FastAPI and the server cost a second that --help and a refusal must not take.
    run: Callable[..., None] = pkgutil.resolve_name("wan22.cli.serving:run")
    run(settings, access_log=access_log)


def refuse_open_door(settings: Settings) -> None:
    """Raise ConfigurationError if other machines could use the server without a key."""
    if not is_loopback(settings.server.host) and not settings.server.api_key:
        raise ConfigurationError(
            f"Listening on {settings.server.host!r} opens the server to other machines and needs an API key; "
            "set WAN22_SERVER__API_KEY, or listen on 127.0.0.1."
        )

"""`wan22 settings`: every setting with its meaning and default, as a TOML file to start from."""

from __future__ import annotations

import typer

from wan22.cli.settings_file import settings_toml


def settings() -> None:
    """Print all settings, with their defaults, as a TOML file to edit and give to --config."""
    typer.echo(settings_toml(), nl=False)

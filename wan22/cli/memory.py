"""`wan22 models load` and `unload`: what a running server holds in memory."""

from __future__ import annotations

from typing import Annotated

import typer

from wan22.cli.finding import size_words
from wan22.cli.flags import Config, Home, settings_from
from wan22.cli.local import running
from wan22.cli.models import Named, type_of
from wan22.client.replies import Resident

Server = Annotated[str | None, typer.Option("--server", help="URL of the server, as http://127.0.0.1:8000.")]


def load(model: Named, server: Server = None, config: Config = None, home: Home = None) -> None:
    """Have the running server take a model into memory, ahead of its first task."""
    model_type = type_of(model)
    with running(settings_from(config, storage={"home": home}), server) as client:
        answer = client.load(model_type)
    typer.echo(f"{model_type.value} {'was' if answer.was_loaded else 'is now'} in memory: {_said(answer.loaded)}.")


def unload(model: Named, server: Server = None, config: Config = None, home: Home = None) -> None:
    """Have the running server give back the memory of a model."""
    model_type = type_of(model)
    with running(settings_from(config, storage={"home": home}), server) as client:
        dropped = client.unload(model_type)
    for resident in dropped:
        typer.echo(f"{model_type.value} is no longer in memory: {_said(resident)}.")
    if not dropped:
        typer.echo(f"{model_type.value} was not in memory.")


def _said(resident: Resident) -> str:
    precision = resident.precision.get("transformer", "unknown precision")
    return f"{resident.variant} in {precision} on {resident.device}, {size_words(resident.size_bytes)}"

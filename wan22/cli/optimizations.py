"""`wan22 optimizations`: what makes runs faster or smaller, whether it does so on this machine, and by how much."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from wan22.cli.flags import Config, Home, settings_from

MARKS = {"active": ("on ", "green"), "off": ("off", "yellow"), "not_applicable": (" - ", "dim")}


def optimizations(
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure first what they gain here: half a minute.")
    ] = False,
    config: Config = None,
    home: Home = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List every optimization: on, off, or of no use on this machine, and why; with what it was measured to gain."""
    settings = settings_from(config, storage={"home": home})
    # Loaded by name, now: what it imports is of no use to the other commands.
    look: Callable[..., list[dict[str, Any]]] = pkgutil.resolve_name("wan22.cli.gains:look")
    found = look(settings, measure=measure)
    if as_json:
        typer.echo(json.dumps({"optimizations": found}))
        return
    console = Console(highlight=False)
    for one in found:
        mark, style = MARKS[one["state"]]
        console.print(Text.assemble((mark, style), f"  {one['id']}: {one['name']}. {one['why']}"), soft_wrap=True)
        if gain := one["gain"]:
            console.print(Text(f"       {gain['times_faster']:.2f} times as fast: {gain['work']}"), soft_wrap=True)

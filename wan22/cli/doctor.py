"""`wan22 doctor`: looks at the machine, says what is well and gives the cure for what is not."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from wan22.cli.finding import Finding
from wan22.cli.flags import Config, Home, settings_from
from wan22.settings import Settings

MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "bold red")}


def doctor(
    config: Config = None,
    home: Home = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check this machine: each line is ok, warn or FAIL with its cure; leaves with 1 if anything fails."""
    settings = settings_from(config, storage={"home": home})
    # Loaded by name, now: what the checks import is of no use to the other commands.
    examine: Callable[[Settings], Iterator[Finding]] = pkgutil.resolve_name("wan22.cli.examination:examine")
    findings = []
    console = Console(highlight=False)
    for finding in examine(settings):
        findings.append(finding)
        if not as_json:
            _show(console, finding)
    healthy = all(finding.state != "fail" for finding in findings)
    if as_json:
        told = {"ok": healthy, "findings": [finding.as_json() for finding in findings]}
        typer.echo(json.dumps(told))
    if not healthy:
        raise typer.Exit(1)


def _show(console: Console, finding: Finding) -> None:
    mark, style = MARKS[finding.state]
    console.print(Text.assemble((mark, style), f"  {finding.name}: {finding.text}"), soft_wrap=True)
    if finding.cure:
        console.print(Text(f"      {finding.cure}"), soft_wrap=True)

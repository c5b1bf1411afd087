"""The command `wan22`: its subcommands, and how an error ends it: one sentence, its cure, and an exit code.

0: done. 1: the task or the server failed. 2: wrong flags or settings. 130: stopped by Ctrl+C.
"""

from __future__ import annotations

import io
import sys
from types import TracebackType
from typing import Annotated, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

from wan22 import __version__
from wan22.cli.doctor import doctor
from wan22.cli.generate import generate
from wan22.cli.memory import load, unload
from wan22.cli.models import models
from wan22.cli.optimizations import optimizations
from wan22.cli.serve import serve
from wan22.cli.settings import settings
from wan22.errors import ConfigurationError, FieldError, InvalidRequest, Wan22Error

app = typer.Typer(
    name="wan22",
    help="Video generation with Wan 2.2 on one consumer GPU.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(generate)
app.command()(doctor)
app.command()(settings)
app.command()(optimizations)
models.command()(load)
models.command()(unload)
app.add_typer(models, name="models")

DEBUG_FLAG = "--debug"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wan22 {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option(DEBUG_FLAG, help="Show a traceback when something goes wrong.")] = False,
) -> None:
    """Flags that stand before the command."""


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    command = get_command(app)  # the app itself would put an excepthook of its own in place
    if DEBUG_FLAG not in sys.argv[1:2]:
        sys.excepthook = _say_fault
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a pipe on Windows may have any code page
    try:
        command(windows_expand_args=False)  # a prompt may hold * and %
    except Wan22Error as error:
        if DEBUG_FLAG in sys.argv[1:2]:
            raise
        _say(error)
        sys.exit(2 if isinstance(error, (ConfigurationError, InvalidRequest)) else 1)


def _say(error: Wan22Error) -> None:
    if isinstance(error, InvalidRequest):
        for told in map(_field, error.errors):
            typer.echo(f"wan22: {told}", err=True)
    else:
        typer.echo(f"wan22: {error.detail}", err=True)
    if error.hint and not isinstance(error, (ConfigurationError, InvalidRequest)):  # whose own words end in the cure
        typer.echo(f"  {error.hint}", err=True)


def _field(wrong: FieldError) -> str:
    """What is wrong with a field, by its flag; with the value where the flag may be there twice."""
    field, of_several, _ = wrong.field.partition(".")
    flag = _flags().get(field, wrong.field)
    return f"{flag} {wrong.value}: {wrong.message}" if of_several and wrong.value else f"{flag}: {wrong.message}"


def _flags() -> dict[str, str]:
    """The flag of `generate` behind each field that the server may object to."""
    commands = cast("TyperGroup", get_command(app)).commands
    flags = {parameter.name or "": parameter.opts[-1] for parameter in commands["generate"].params}
    return flags | {"width": "--size", "height": "--size"}


def _say_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python does with an exception that nobody caught: here one line in place of a traceback."""
    typer.echo(f"wan22: something unforeseen went wrong ({kind.__name__}: {error}).", err=True)
    typer.echo("  Run it with `wan22 --debug` for the details, and please report them.", err=True)

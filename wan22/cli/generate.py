"""`wan22 generate`: one video from the command line, by a running server or by one inside this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from wan22.cli import fields
from wan22.cli.flags import Config, Home, settings_from
from wan22.cli.local import connected
from wan22.cli.progress import ProgressView
from wan22.cli.target import Target
from wan22.client import Client, RemoteTask
from wan22.client.bodies import PICTURE_FIELDS
from wan22.errors import WrongState
from wan22.models import demo_weights
from wan22.tasks import Draft, ModelType, Status

CANCELLED_BY_HAND = 130  # what shells report for a program that Ctrl+C ended


def generate(
    context: typer.Context,
    prompt: fields.Prompt = "",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File or folder; `<model>-<end of id>.<format>` here if left out."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file if it is there.")] = False,
    model_type: fields.Model = None,
    image: fields.Image = None,
    last_image: fields.LastImage = None,
    negative_prompt: fields.Negative = None,
    resolution: fields.Size = None,
    num_frames: fields.Frames = None,
    fps: fields.Fps = None,
    steps: fields.Steps = None,
    seed: fields.Seed = None,
    guidance_scale: fields.Guidance = None,
    guidance_scale_2: fields.Guidance2 = None,
    flow_shift: fields.FlowShift = None,
    strength: fields.Strength = None,
    mode: fields.Mode = None,
    output_format: fields.Format = None,
    quality: fields.Quality = None,
    quantization: fields.Precision = None,
    step_cache: fields.StepCache = None,
    preset: fields.Preset = None,
    loras: fields.Loras = None,
    num_videos: fields.Count = None,
    server: Annotated[str | None, typer.Option(help="URL of the server to use, as http://127.0.0.1:8000.")] = None,
    config: Config = None,
    home: Home = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the finished task as JSON, `files` included.")] = False,
) -> None:
    """Make a video and print its path.

    Uses the server that is running, or does the work in this process if there is none. An existing file is never
    replaced without --force. Ctrl+C cancels the task.
    """
    target = Target(output, output_format, force=force)
    target.check()
    body = _body(context.params, target)
    with connected(settings_from(config, storage={"home": home}), server) as client:
        sent = client.submit(image=image, last_image=last_image, enhanced=body["model_type"] is None, **body)
        task = _watch(client, sent)
        files = [target.take(client, task, result.index) for result in task.outputs]
    _report(task, files, as_json=as_json)


def _body(given: dict[str, Any], target: Target) -> dict[str, Any]:
    """The fields to submit, pictures apart: parameters that are fields. A model left out is the server's to choose."""
    body = {name: given[name] for name in Draft.model_fields if name in given and name not in PICTURE_FIELDS}
    body["output_format"] = target.format
    body["prompt"] = body["prompt"] or None
    body["loras"] = [_lora(said) for said in body["loras"] or ()] or None
    return body


def _lora(said: str) -> dict[str, Any]:
    """A name, or a name and a weight; that the weight is a number, the server says."""
    name, is_weighed, weight = said.partition("=")
    return {"name": name, "weight": weight} if is_weighed else {"name": name}


def _watch(client: Client, task: RemoteTask) -> RemoteTask:
    """Wait with a progress bar; Ctrl+C cancels the task and leaves."""
    try:
        with ProgressView(Console(stderr=True)) as view:
            return client.wait(task.task_id, on_event=view)
    except KeyboardInterrupt:
        try:
            client.cancel(task.task_id)
            typer.echo("Cancelled.", err=True)
        except WrongState:
            typer.echo("Stopped; the task had already ended.", err=True)
        raise typer.Exit(CANCELLED_BY_HAND) from None


def _report(task: RemoteTask, files: list[Path], *, as_json: bool) -> None:
    """The result on stdout; the weights used and an error on stderr; leaves with 1 unless the task completed."""
    if as_json:
        told: dict[str, Any] = task.model_dump(mode="json") | {"files": [str(file) for file in files]}
        typer.echo(json.dumps(told))
    else:
        for file in files:
            typer.echo(file)
    if task.error:
        typer.echo(f"wan22: {task.error.detail}", err=True)
        typer.echo(f"  {task.error.hint}" if task.error.hint else "", err=True, nl=bool(task.error.hint))
    elif task.status is Status.CANCELLED:
        typer.echo("wan22: the task was cancelled.", err=True)
    if task.status is not Status.COMPLETED:
        raise typer.Exit(1)
    typer.echo(_weights_used(task), err=True)


def _weights_used(task: RemoteTask) -> str:
    if task.plan.get("variant") == "demo":
        return demo_weights.about(ModelType(task.model_type))
    return f"These are the weights of {task.plan.get('model_files', task.model_type)}."

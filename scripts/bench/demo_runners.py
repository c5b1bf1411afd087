"""Two ways to videos for `demo_quality`: a server over HTTP, and its phases in this process on a changed model."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from server import free_port, running

from wan22.client import Client
from wan22.hardware.probe import probe
from wan22.models.variants import Models
from wan22.orchestrator.planning import Planner
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.loader import load
from wan22.pipelines.phases import decode, denoise, encode_text
from wan22.settings import DeviceSettings, ModelsSettings
from wan22.tasks import Draft, Passes, Phase


@dataclass(frozen=True)
class Shot:
    """One task: the fields of a submit body, and its pictures as PNG: the first, and perhaps the last."""

    body: dict[str, Any]
    pictures: tuple[bytes, ...] = ()


class Served:
    """Through a server of its own, with the demo weights, from HTTP to the decoded file."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.passes: list[Passes] = []  # of the tasks so far, where they had a step cache
        config = home / "config.toml"
        config.write_text('[models]\nvariant = "demo"\n', "utf-8")
        self._port = free_port()
        command = [sys.executable, "-m", "wan22", "serve", "--port", str(self._port), "--home", str(home)]
        self._command = [*command, "--config", str(config)]

    def __call__(self, shots: Sequence[Shot]) -> Iterator[Any]:
        """Frames (T, H, W, 3) of each, in order."""
        log = self._home / "serve.log"
        with running(self._command, port=self._port, log=log, say=_silent) as server, Client(server.url) as client:
            for shot in shots:
                yield self._video(client, shot)

    def _video(self, client: Client, shot: Shot) -> Any:
        first, last = (*shot.pictures, None, None)[:2]
        task = client.wait(client.submit(image=first, last_image=last, **shot.body).task_id)
        if task.status.value != "completed":
            raise SystemExit(f"task {task.task_id} is {task.status.value}: {task.error}")
        if task.passes:
            self.passes.append(task.passes)
        with tempfile.TemporaryDirectory() as folder:
            return frames_of(client.download(task, path=Path(folder) / "video.mp4"))


class Direct:
    """The server's own phases, on demo weights that were changed after loading."""

    passes: Sequence[Passes] = ()  # it has no step cache

    def __init__(self, only: str) -> None:
        self._only = only
        self._models = Models(ModelsSettings(variant="demo"), Path(tempfile.gettempdir()))
        self._planner = Planner(self._models, DeviceSettings(), probe)

    def __call__(self, shots: Sequence[Shot]) -> Iterator[Any]:
        """Frames (T, H, W, 3) of each, in order; for text alone."""
        model = None
        for shot in shots:
            request, plan = self._planner.prepare(Draft(**shot.body))
            if model is None:
                path = self._models.get(request.model_type).path
                model = load(path, request.model_type, plan=plan, reporter=Unheard())
                self._change(model)
            text = encode_text(model, request, Unheard())
            latents = denoise(model, request, plan.render, text, None, seed=request.seed, reporter=Unheard())
            yield np.stack(list(decode(model, latents, Unheard())))

    def _change(self, model: LoadedModel) -> None:
        pipeline = model.pipeline
        if self._only == "high":
            pipeline.transformer_2 = pipeline.transformer
        elif self._only == "low":
            pipeline.transformer = pipeline.transformer_2


class Unheard:
    """A reporter that nobody listens to."""

    def check(self) -> None:
        """Never stops."""

    def phase(self, phase: Phase) -> None:
        """Says nothing."""

    def progress(self, fraction: float, *, step: int | None = None, total_steps: int | None = None) -> None:
        """Says nothing."""

    def preview(self, jpeg: bytes, *, width: int, height: int) -> None:
        """Shows nothing."""


def frames_of(path: Path) -> Any:
    """All frames of a file, (T, H, W, 3) in uint8."""
    reader = imageio_ffmpeg.read_frames(str(path))
    with contextlib.closing(reader):
        width, height = next(reader)["size"]
        return np.stack([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader])


def _silent(_: str) -> None:
    """The server's address interests nobody here."""


__all__ = ["Direct", "Served", "Shot", "frames_of"]

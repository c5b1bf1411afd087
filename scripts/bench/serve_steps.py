"""Times passes through the demo models' transformers over one video and over several, for `serve --steps`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from wan22.hardware.probe import probe
from wan22.hardware.process import prepare_process
from wan22.models.variants import Models
from wan22.orchestrator.planning import Planner
from wan22.pipelines.loader import load
from wan22.settings import DeviceSettings, ModelsSettings
from wan22.tasks import ModelType, Silent

SIZES = ((64, 64, 5), (128, 128, 5), (224, 128, 1), (224, 128, 17))  # the last is the demo's own
BATCHES = (1, 2, 4, 8)
ROUNDS = 5
TOKENS_OF_TEXT = 512


def print_steps() -> None:
    """A line for each model, number of threads and size: ms for a video alone, and how much faster it is in a batch."""
    prepare_process()
    import torch

    for model_type in ModelType:
        model = _loaded(model_type)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for width, height, frames in SIZES:
                best = _best_s(model, width, height, frames)
                gains = ", ".join(f"{size}: {best[1] / best[size]:.2f}" for size in BATCHES[1:])
                where = f"{model_type.value:>8}, {threads} thread{'s' if threads > 1 else ' '}"
                print(f"{where} {width}x{height}x{frames:<3} {1000 * best[1]:6.1f} ms; together {gains}", flush=True)


def _loaded(model_type: ModelType) -> Any:
    models = Models(ModelsSettings(variant="demo"), Path(tempfile.gettempdir()))
    plan = Planner(models, DeviceSettings(device="cpu", precision="fp32"), probe).default(model_type)
    variant = models.named(model_type, plan.variant)
    return load(variant.parts, model_type, plan=plan, reporter=Silent(lambda: None), cure="")


def _best_s(model: Any, width: int, height: int, frames: int) -> dict[int, float]:
    """Seconds for each video of a batch, by its size; the best of rounds that take turns."""
    best = dict.fromkeys(BATCHES, float("inf"))
    for _ in range(ROUNDS):
        for size in BATCHES:
            best[size] = min(best[size], _pass_s(model, (size, width, height, frames)) / size)
    return best


def _pass_s(model: Any, sizes: tuple[int, int, int, int]) -> float:
    import torch

    count, width, height, frames = sizes
    expert, factor = model.experts[0], model.pipeline.vae_scale_factor_spatial
    shape = (count, expert.config.in_channels, (frames - 1) // 4 + 1, height // factor, width // factor)
    text = torch.randn(count, TOKENS_OF_TEXT, expert.config.text_dim)
    latents, timestep = torch.randn(shape), torch.full((count,), 900)
    began = time.perf_counter()
    with torch.no_grad():
        expert(hidden_states=latents, timestep=timestep, encoder_hidden_states=text, return_dict=False)
    return time.perf_counter() - began

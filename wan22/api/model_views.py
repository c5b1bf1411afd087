"""What callers are shown of the three models: how each stands, how it has run, and the two or three side by side."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wan22.api.download_views import ResidentView
from wan22.api.views import LastError, View
from wan22.models.capabilities import Line
from wan22.models.history import History
from wan22.models.recommendation import Priority, Recommended, RuledOut, State
from wan22.tasks import ModelType


class Weights(View):
    """Which weights a model runs with, and how the real ones stand."""

    state: State = Field(
        description="ready: the real ones are in use, demo: the small shipped ones; partial, missing: neither, as the "
        "settings want the real ones, and those are not whole or not there; corrupt: a verification found wrong files."
    )
    variant: str | None = Field(description="Its name, as `plan.variant` of a task; null: the model can't run.")
    real: Literal["ready", "corrupt", "partial", "missing"] = Field(
        description="How the real ones stand, in use or not."
    )
    missing: tuple[str, ...] = Field(description="Files that a partial folder lacks, as paths inside it.")
    why: str = Field(description="Why these are used, and what to do for the real ones.")


class Device(View):
    """What computes."""

    name: str | None = Field(description="cpu, cuda:0 or mps; null if the one of the settings is not there.")
    gpu: str | None = Field(description="Name of the GPU, if it is one.")
    vram_bytes: int | None = Field(description="Of that GPU, in all.")
    why: str = Field(description="What is wrong with it, if something is.")


class Capabilities(View):
    """All that is known of what a model can do."""

    model_type: ModelType = Field(description="Which.")
    weights: Weights = Field(description="Those in use; with the demo weights a size is rendered small and enlarged.")
    native_fps: int = Field(description="Frames a second that the real weights were trained at.")
    capabilities: dict[str, Line] = Field(description="Each line of the report, and some beyond it, by name.")


class ModelHealth(View):
    """Whether a model can run, and how reliably it has."""

    model_type: ModelType = Field(description="Which.")
    weights: Weights = Field(description="Those in use.")
    device: Device = Field(description="Where it runs.")
    loaded: ResidentView | None = Field(description="How it is in memory; null: its next task loads it first.")
    runs: int = Field(description="Newest tasks that completed or failed, with these weights on this device.")
    success_rate: float | None = Field(description="Completed of those, 0 to 1; null before the first.")
    last_error: LastError | None = Field(description="Of the newest failed task, whatever its weights; null: none.")
    said: str = Field(description="The same in a sentence.")


class Expected(View):
    """What the report expects; a promise, beside which stands what was measured."""

    total_s: tuple[int, int] = Field(description="From and to, for `num_frames` frames of 720 lines.")
    num_frames: int = Field(description="Frames that the seconds are for.")
    measured_total_s: float | None = Field(
        description="Median of tasks of that size with the real weights on the device of now; null: there are none."
    )
    vram_bytes: tuple[int, int] = Field(description="From and to, typically.")
    max_vram_bytes: int = Field(description="For large batches.")
    videos_per_hour: tuple[int, int] = Field(description="From and to, by size and length.")
    source: str = Field(description="What the figures are about.")


class Performance(View):
    """How fast a model is on this machine, as measured, beside what the report expects."""

    model_type: ModelType = Field(description="Which.")
    measured: History = Field(description="With the weights and on the device of now.")
    others: tuple[History, ...] = Field(description="With other weights or on another device, each by itself.")
    expected: Expected = Field(description="Of the real weights on the report's machine.")


class Recommendation(View):
    """The models by rank for a wish, and those that can't fulfil it."""

    priority: Priority = Field(description="What the ranking goes by.")
    vram_bytes: int | None = Field(description="As sent, else of this machine's GPU; null: there is none.")
    recommended: tuple[Recommended, ...] = Field(description="Best first; empty if none can do it.")
    ruled_out: tuple[RuledOut, ...] = Field(description="The others, and why.")


class ShortCapabilities(View):
    """What a model can do, in a few values."""

    input_types: tuple[str, ...] = Field(description="What it begins with.")
    max_frames: int = Field(description="Longest video.")
    trained_sizes: tuple[str, ...] = Field(description="Sizes that the real weights were trained at.")
    native_fps: int = Field(description="Frames a second that they were trained at.")
    quantization: tuple[str, ...] = Field(description="Precisions that a request can ask for.")
    min_vram_bytes: int = Field(description="For the real weights, streamed from RAM.")
    min_ram_bytes: int = Field(description="For the real weights in bf16.")
    not_as_reported: tuple[str, ...] = Field(description="Lines in which this build falls short of the report.")


class ShortPerformance(View):
    """How a model has run, in a few values."""

    runs: int = Field(description="Newest tasks that completed or failed, with these weights on this device.")
    success_rate: float | None = Field(description="Completed of those, 0 to 1.")
    p50_total_s: float | None = Field(description="Median seconds of a task, all sizes together.")
    videos_per_hour: float | None = Field(description="While tasks run.")
    peak_vram_bytes: int | None = Field(description="The highest.")
    said: str = Field(description="The same in a sentence.")


class ModelOverview(View):
    """One model on one card."""

    model_type: ModelType = Field(description="Which.")
    purpose: str = Field(description="What it makes, from what.")
    weights: Weights = Field(description="Those in use.")
    capabilities: ShortCapabilities = Field(description="What it can do.")
    performance: ShortPerformance = Field(description="How it has run.")
    last_error: LastError | None = Field(description="Of the newest failed task; null: none.")


class Overview(View):
    """The three models at a glance."""

    device: Device = Field(description="Where tasks run now.")
    models: tuple[ModelOverview, ...] = Field(description="T2V-A14B, I2V-A14B, TI2V-5B.")

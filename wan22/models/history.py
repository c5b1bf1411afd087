"""What a model's ended runs say of its speed, its memory and its reliability on this machine. Pure.

Runs with other weights or on another device are never summed up together, and what was not measured is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

from pydantic import BaseModel, ConfigDict, Field

from wan22.models.specs import DEMO, OFFICIAL
from wan22.tasks import Run


class Spread(BaseModel):
    """Percentiles by nearest rank: each is the time of a task that ran."""

    model_config = ConfigDict(frozen=True)

    p50: float | None = Field(description="Half of the tasks took at most this; null where none was measured.")
    p95: float | None = Field(description="Of 20 tasks 19 took at most this; null where none was measured.")


class SizeHistory(BaseModel):
    """Completed tasks of one size, with guidance or without."""

    model_config = ConfigDict(frozen=True)

    width: int = Field(description="Pixels of the file.")
    height: int = Field(description="Pixels of the file.")
    num_frames: int = Field(description="Frames of the file.")
    guided: bool = Field(description="Guidance was on, so that a step went through the transformer twice.")
    runs: int = Field(description="Completed tasks of this size.")
    seconds_per_step: float | None = Field(description="Median, of one denoising step of one output.")
    total_s: Spread = Field(description="Of whole tasks, whatever their steps and outputs.")
    peak_vram_bytes: int | None = Field(description="The highest; null without a GPU.")


class History(BaseModel):
    """The newest ended tasks of one model with the same weights on the same device."""

    model_config = ConfigDict(frozen=True)

    variant: str | None = Field(
        description="Of the weights: dev are the official ones, demo the small shipped ones; null: there are none."
    )
    device: str | None = Field(description="cpu, cuda:0 or mps; null if the one of the settings is not there.")
    runs: int = Field(
        description="Tasks that completed or failed, of the newest of the model; cancelled ones don't count."
    )
    completed: int = Field(description="Those that made their outputs.")
    failed: int = Field(description="Those that ended with an error.")
    success_rate: float | None = Field(description="Completed of all, 0 to 1; null before the first.")
    total_s: Spread = Field(
        description="Seconds from the start of a task to its end, loading included, all sizes together."
    )
    videos_per_hour: float | None = Field(description="Videos made, by the hours that their tasks ran; waits left out.")
    peak_vram_bytes: int | None = Field(description="The highest of all; null without a GPU.")
    sizes: tuple[SizeHistory, ...] = Field(description="By size, the most used first.")
    said: str = Field(description="The same in a sentence.")


def history_of(runs: Iterable[Run], variant: str | None, device: str | None) -> History:
    """What those of `runs` say that used these weights on this device; nulls and a sentence where there are none."""
    mine = [run for run in runs if (run.variant, run.device) == (variant, device)]
    done = [run for run in mine if run.is_completed]
    return History(
        variant=variant,
        device=device,
        runs=len(mine),
        completed=len(done),
        failed=len(mine) - len(done),
        success_rate=len(done) / len(mine) if mine else None,
        total_s=spread_of(run.total_s for run in done),
        videos_per_hour=_videos_per_hour(done),
        peak_vram_bytes=_highest(done),
        sizes=_by_size(done),
        said=_said(len(mine), len(done), variant, device),
    )


def others_of(runs: Sequence[Run], variant: str | None, device: str | None) -> tuple[History, ...]:
    """The same for every other pair of weights and device that ran, the newest first."""
    pairs = dict.fromkeys((run.variant, run.device) for run in runs)
    return tuple(history_of(runs, *pair) for pair in pairs if pair != (variant, device))


def weights_named(variant: str) -> str:
    """A variant in words."""
    return {OFFICIAL: "the real weights", DEMO: "the demo weights"}.get(variant, f"the weights {variant}")


def spread_of(seconds: Iterable[float | None]) -> Spread:
    """Median and 95th percentile of what was measured."""
    known = [one for one in seconds if one is not None]
    return Spread(p50=percentile(known, 0.50), p95=percentile(known, 0.95))


def percentile(values: Sequence[float], share: float) -> float | None:
    """By nearest rank: the smallest value that at least `share` of all, over 0 and up to 1, do not exceed."""
    if not values:
        return None
    return sorted(values)[max(ceil(share * len(values)), 1) - 1]


def _by_size(done: Sequence[Run]) -> tuple[SizeHistory, ...]:
    groups: dict[tuple[int, int, int, bool], list[Run]] = {}
    for run in done:
        groups.setdefault((run.width, run.height, run.num_frames, run.guidance_scale > 1), []).append(run)
    return tuple(_size(*key, runs) for key, runs in sorted(groups.items(), key=lambda one: -len(one[1])))


def _size(width: int, height: int, num_frames: int, guided: bool, runs: Sequence[Run]) -> SizeHistory:
    return SizeHistory(
        width=width,
        height=height,
        num_frames=num_frames,
        guided=guided,
        runs=len(runs),
        seconds_per_step=spread_of(run.seconds_per_step for run in runs).p50,
        total_s=spread_of(run.total_s for run in runs),
        peak_vram_bytes=_highest(runs),
    )


def _videos_per_hour(done: Sequence[Run]) -> float | None:
    timed = [(run.num_videos, run.total_s / run.tasks) for run in done if run.mode == "video" and run.total_s]
    seconds = sum(took for _, took in timed)
    return 3600 * sum(count for count, _ in timed) / seconds if seconds else None


def _highest(runs: Sequence[Run]) -> int | None:
    return max((run.peak_vram_bytes for run in runs if run.peak_vram_bytes is not None), default=None)


def _said(count: int, completed: int, variant: str | None, device: str | None) -> str:
    if variant is None:
        return "There are no weights to run this model with, so nothing is measured."
    where = f"with {weights_named(variant)} on {device or 'the device of the settings'}"
    if not count:
        return f"No task of this model has ended yet {where}, so nothing is measured."
    return f"{completed} of the last {count} tasks {where} completed."

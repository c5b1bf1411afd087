"""What each rule looks at: of the facts a figure for each subject, with a sentence or two that end in the cure. Pure.

Whether a figure is too high is `judge`'s. What was not measured gives no finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from wan22.monitoring.facts import Facts
from wan22.monitoring.reading import GpuReading
from wan22.tasks import ModelType, Run

GB = 10**9
FEWEST_READINGS = 10  # of which the share that was held down says something
LAST_TASKS = 10
FEWEST_TASKS = 4
TASKS_OF = timedelta(days=1)
FEWEST_USUAL = 3  # earlier runs of a size, from which one can say what is usual

NO_SPILL = 'set "CUDA - Sysmem Fallback Policy: Prefer No Sysmem Fallback" in the NVIDIA Control Panel'
"""Drivers for Windows from 546.01 on have it; without, CUDA moves VRAM into RAM in place of an out-of-memory error."""


@dataclass(frozen=True)
class Finding:
    """One figure of one subject."""

    subject: str
    figure: float
    detail: str


def vram(facts: Facts) -> Iterator[Finding]:
    """The share of each GPU's memory in use."""
    for gpu in _gpus(facts):
        if gpu.vram_used_bytes is not None and gpu.vram_total_bytes:
            said = f"{gpu.name} has {_gb(gpu.vram_total_bytes - gpu.vram_used_bytes)} of its VRAM free"
            cure = "Close other programs that use the GPU, or unload models that you don't need."
            yield Finding(_named(gpu), gpu.vram_used_bytes / gpu.vram_total_bytes, f"{said}{_others(gpu)}. {cure}")


def ram(facts: Facts) -> Iterator[Finding]:
    """The share of the machine's memory in use."""
    now = facts.latest
    if now and now.ram_used_bytes is not None and now.ram_total_bytes:
        free = _gb(now.ram_total_bytes - now.ram_used_bytes)
        ours = f", and {_gb(now.ram_ours_bytes)} are this server's" if now.ram_ours_bytes is not None else ""
        cure = "Close other programs, unload models, or lower models.ram_fraction."
        yield Finding("ram", now.ram_used_bytes / now.ram_total_bytes, f"{free} of RAM are free{ours}. {cure}")


def swap(facts: Facts) -> Iterator[Finding]:
    """Bytes of swap in use."""
    now = facts.latest
    if now and now.swap_used_bytes is not None:
        said = f"{_gb(now.swap_used_bytes)} of swap are in use, which makes all that waits there very slow."
        yield Finding("swap", now.swap_used_bytes, f"{said} Close other programs, or lower models.ram_fraction.")


def temperature(facts: Facts) -> Iterator[Finding]:
    """Degrees of each GPU."""
    for gpu in _gpus(facts):
        if gpu.temperature_c is not None:
            said = f"{gpu.name} is at {gpu.temperature_c:.0f} °C, and slows down soon if it does not yet."
            cure = "Let more air through the case, or lower the card's power limit."
            yield Finding(_named(gpu), gpu.temperature_c, f"{said} {cure}")


def throttled(facts: Facts) -> Iterator[Finding]:
    """The share of the last minute in which heat or its hardware held each GPU's clock down."""
    for gpu in _gpus(facts):
        reasons = [of.throttled_by for one in facts.readings for of in one.gpus if of.index == gpu.index]
        known = [set(found) & {"heat", "hardware"} for found in reasons if found is not None]
        if len(known) >= FEWEST_READINGS:
            what = " and ".join(sorted(set().union(*known))) or "nothing"
            said = f"The clock of {gpu.name} is held down by {what}."
            cure = "Let more air through the case, and check its power cables if it is not hot."
            yield Finding(_named(gpu), sum(map(bool, known)) / len(known), f"{said} {cure}")


def disk(facts: Facts) -> Iterator[Finding]:
    """Bytes free on the disk of the outputs."""
    if facts.latest and facts.latest.disk_free_bytes is not None:
        free = facts.latest.disk_free_bytes
        said = f"{_gb(free)} are free on the disk of the outputs, and tasks need some."
        yield Finding("disk", free, f"{said} Delete tasks whose files you don't need, or free space.")


def queue(facts: Facts) -> Iterator[Finding]:
    """Tasks that wait while none runs."""
    now = facts.latest
    if now and now.queued is not None and now.running is not None:
        said = f"{now.queued} tasks wait and none runs."
        cure = "If no model is being loaded or optimization measured, look at the server's log and restart it."
        yield Finding("queue", 0 if now.running else now.queued, f"{said} {cure}")


def failures(facts: Facts) -> Iterator[Finding]:
    """The share of the last tasks of a day, of all models, that failed."""
    ended = [run for runs in facts.runs.values() for run in runs if run.finished_at and _is_of_today(run, facts)]
    last = sorted(ended, key=lambda run: run.finished_at or facts.at, reverse=True)[:LAST_TASKS]
    if len(last) >= FEWEST_TASKS:
        failed = [run for run in last if not run.is_completed]
        error = next((run.error for run in failed if run.error), None)
        why = f", the newest for this: {error.title}" if error else ""
        cure = (error and error.hint) or "Look at their errors in the list of tasks."
        said = f"{len(failed)} of the last {len(last)} tasks failed{why}."
        yield Finding("tasks", len(failed) / len(last), f"{said} {cure}")


def step_time(facts: Facts) -> Iterator[Finding]:
    """Seconds a step of each model's newest run, by those that are usual for its size on this machine."""
    for model_type, runs in facts.runs.items():
        newest = next((run for run in runs if run.seconds_per_step is not None and _is_of_today(run, facts)), None)
        usual = newest and _usual(newest, runs)
        if newest and usual and newest.seconds_per_step:
            detail = _slow(model_type, newest, usual, facts.system)
            yield Finding(model_type.value, newest.seconds_per_step / usual, detail)


def weights(facts: Facts) -> Iterator[Finding]:
    """1 for a model whose weights were found damaged, 0 for others."""
    for model_type, report in facts.models.items():
        yield Finding(model_type.value, float(report.state == "corrupt"), report.why)


def sampler(facts: Facts) -> Iterator[Finding]:
    """Seconds without a reading."""
    if facts.sampler_age_s is not None:
        said = f"The machine was last read {facts.sampler_age_s:.0f} s ago, and other alerts can't be judged."
        yield Finding("sampler", facts.sampler_age_s, f"{said} Look at the server's log for the cause and restart it.")


def _gpus(facts: Facts) -> Sequence[GpuReading]:
    return facts.latest.gpus if facts.latest else ()


def _named(gpu: GpuReading) -> str:
    return f"gpu{gpu.index}"


def _gb(size_bytes: float) -> str:
    return f"{size_bytes / GB:.1f} GB"


def _others(gpu: GpuReading) -> str:
    if gpu.vram_ours_bytes is None or gpu.vram_used_bytes is None:
        return ""
    return f", and other programs hold {_gb(max(0, gpu.vram_used_bytes - gpu.vram_ours_bytes))}"


def _usual(newest: Run, runs: Sequence[Run]) -> float | None:
    """The median of the earlier runs of its kind; None of too few."""
    kind = _kind(newest)
    before = [run for run in runs if run is not newest and run.is_completed and _kind(run) == kind]
    steps = [run.seconds_per_step for run in before if run.seconds_per_step]
    return median(steps) if len(steps) >= FEWEST_USUAL else None


def _is_of_today(run: Run, facts: Facts) -> bool:
    """It goes on, or ended within a day: what was wrong before says nothing of now."""
    return run.finished_at is None or run.finished_at > facts.at - TASKS_OF


def _kind(run: Run) -> tuple[object, ...]:
    """Runs of the same kind take the same time for a step."""
    weights = run.variant, run.device, run.precision, run.offload
    return *weights, run.mode, run.width, run.height, run.num_frames, run.guidance_scale > 1, run.step_cache


def _slow(model_type: ModelType, run: Run, usual: float, system: str) -> str:
    took = run.seconds_per_step or 0.0
    said = (
        f"A step of {model_type.value} takes {took:.3g} s at {run.width}x{run.height} and {run.num_frames} frames, "
        f"{took / usual:.1f} times the usual {usual:.3g} s on this machine."
    )
    has_windows_driver = system.startswith("Windows") or "WSL" in system
    if has_windows_driver and run.device.startswith("cuda"):
        return f"{said} The driver may be spilling VRAM into system RAM: {NO_SPILL}."
    return f"{said} Close other programs that use the GPU or the processor, and see whether the machine is hot."

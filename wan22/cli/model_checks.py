"""What `doctor` says of the models: which weights are in use, whether the real ones suit the machine, where they go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from wan22.cli.finding import Finding, failed_by, ok, size_words, warn
from wan22.errors import ConfigurationError, ModelCorrupt, ModelMissing
from wan22.hardware.choose import choose_device, choose_precision, eight_bit_obstacle, gpu_of
from wan22.hardware.machine import Gpu, Machine
from wan22.models import demo_weights
from wan22.models.catalogue import SPECS, ModelSpec
from wan22.models.cures import cure_of
from wan22.models.variants import DTYPE_BYTES, Models, Variant
from wan22.settings import DeviceSettings, Settings
from wan22.tasks import ModelType

_HELD, _WAITING = "held whole", "waiting in RAM for their turns on the GPU"


def check_models(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """The device that the settings choose, each model on it, and what the demo weights know where they are in use."""
    try:
        device = choose_device(machine, settings.device.device)
    except ConfigurationError as error:
        yield failed_by("device", error)
        return
    yield ok("device", device)
    models = Models(settings.models, settings.storage.home / "models")
    for model_type, spec in SPECS.items():
        used = _real_in_use(models, model_type)
        held = partial(models.loaded_bytes, used) if used and used.parts.config else None
        verdict = verdict_on(spec, machine, device, settings.device, held=held, stored=used.stored if used else None)
        yield _check_model(models, model_type, verdict)
    if _is_demo_used(models):
        yield ok("demo weights", demo_weights.KNOWN)


@dataclass(frozen=True)
class Verdict:
    """How a model's real weights would run on a machine, and what speaks against it."""

    how: str
    obstacles: tuple[str, ...]

    def __str__(self) -> str:
        return f"don't suit this machine: {'; '.join(self.obstacles)}" if self.obstacles else f"fit: {self.how}"


Held = Callable[[Mapping[str, str]], int]
"""Bytes that weights hold, by the dtypes of their parts."""


def verdict_on(
    spec: ModelSpec,
    machine: Machine,
    device: str,
    settings: DeviceSettings,
    *,
    held: Held | None = None,
    stored: str | None = None,
) -> Verdict:
    """Judge by the bytes that the weights hold in the precision that would be chosen, the official ones unless `held`
    tells of others, and by the least that a GPU must have. `stored`: the 8 bits in which they can be had alone."""
    asked = stored or (None if settings.precision == "auto" else settings.precision)
    precision = choose_precision(machine, device, asked)
    official = sum(count * DTYPE_BYTES[precision.dtypes[part]] for part, count in spec.parameters.items())
    size = held(precision.dtypes) if held else round(official)
    gpu = gpu_of(machine, device)
    is_whole = gpu is None or size <= gpu.vram_total_bytes - settings.vram_reserve_bytes
    obstacles = [*_of_gpu(spec, gpu), *filter(None, [eight_bit_obstacle(precision, device)])]
    if (gpu is None or not is_whole) and size > machine.ram_total_bytes:
        obstacles.append(f"{size_words(size)} of RAM are needed, there are {size_words(machine.ram_total_bytes)}")
    if device == "cpu":
        obstacles.append("without a GPU that torch can use, a video takes hours")
    return Verdict(
        f"{size_words(size)}, {precision.transformer} on {device}, {_HELD if is_whole else _WAITING}", tuple(obstacles)
    )


def _real_in_use(models: Models, model_type: ModelType) -> Variant | None:
    """The real weights in use. Single files stay as they are, so that their bytes count; the others' size is known."""
    try:
        variant = models.get(model_type)
    except (ModelMissing, ModelCorrupt):
        return None
    return None if variant.is_demo else variant


def _of_gpu(spec: ModelSpec, gpu: Gpu | None) -> Iterator[str]:
    if gpu and gpu.vram_total_bytes < spec.min_vram_bytes:
        yield f"{size_words(spec.min_vram_bytes)} of VRAM are needed, there are {size_words(gpu.vram_total_bytes)}"
    if gpu and gpu.compute_capability and gpu.compute_capability < spec.min_compute_capability:
        needed, there = (".".join(map(str, figure)) for figure in (spec.min_compute_capability, gpu.compute_capability))
        yield f"compute capability {needed} is needed, {gpu.name} has {there}"


def _check_model(models: Models, model_type: ModelType, verdict: Verdict) -> Finding:
    """A warning where real weights are in use that don't suit the machine; the demo weights suit any."""
    try:
        variant = models.get(model_type)
        if variant.is_demo:
            demo_weights.verify(variant.path)
    except (ModelMissing, ModelCorrupt) as error:
        return failed_by(model_type.value, error)
    if not variant.is_demo:
        text = f"{variant.why} They {verdict}"
        cure = "Use TI2V-5B, the smallest, halve them with `wan22 models convert`, or set models.variant to demo."
        return warn(model_type.value, text, cure) if verdict.obstacles else ok(model_type.value, text)
    held = size_words(models.weights_bytes(variant))
    text = f"the demo weights are in use ({held}); the real ones {verdict}"
    report = models.describe(model_type)
    if report.state == "partial":
        return warn(model_type.value, f"{text}. {report.why}", cure_of(models.known(model_type, report.name)))
    return ok(model_type.value, text, f"To use the real ones, {_way_to_real(models, variant.spec, report.state)}.")


def _is_demo_used(models: Models) -> bool:
    return any(_is_demo(models, model_type) for model_type in SPECS)


def _is_demo(models: Models, model_type: ModelType) -> bool:
    try:
        return models.get(model_type).is_demo
    except (ModelMissing, ModelCorrupt):  # only the real ones are allowed, or these are damaged
        return False


def _way_to_real(models: Models, spec: ModelSpec, state: str) -> str:
    if state == "ready":
        return "set models.variant to auto"
    command = f"wan22 models download {spec.model_type.value.lower()}"
    return f"run `{command}`, or put {spec.repository} into {models.place_for(spec)}"

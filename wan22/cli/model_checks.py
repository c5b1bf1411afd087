"""What `doctor` says of the models: which weights are on disk, and how this machine would run them."""

from __future__ import annotations

from collections.abc import Iterator

from wan22.cli.finding import GB, Finding, failed_by, ok, warn
from wan22.errors import ConfigurationError, ModelMissing
from wan22.hardware.choose import choose_device, choose_offload, choose_precision
from wan22.hardware.machine import Gpu, Machine
from wan22.models.variants import Models, Variant
from wan22.settings import Settings
from wan22.tasks import ModelType


def check_models(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """The device that the settings choose, then each model on it."""
    try:
        device = choose_device(machine, settings.device.device)
    except ConfigurationError as error:
        yield failed_by("device", error)
        return
    yield ok("device", device)
    models = Models(settings.models, settings.storage.home / "models")
    for model_type in ModelType:
        yield _check_model(models, model_type, machine, device, settings)


def _check_model(models: Models, model_type: ModelType, machine: Machine, device: str, settings: Settings) -> Finding:
    try:
        variant = models.get(model_type)
    except ModelMissing as error:
        return failed_by(model_type.value, error)
    how = _how_it_runs(models, variant, machine, device, settings)
    report = models.describe(model_type)
    if variant.name == "dev":
        return ok(model_type.value, f"the real weights, {how}")
    if report.state == "partial":
        return warn(model_type.value, f"the demo weights, {how}. {report.why}", "Copy the missing files again.")
    return ok(model_type.value, f"the demo weights, {how}. {report.why}")


def _how_it_runs(models: Models, variant: Variant, machine: Machine, device: str, settings: Settings) -> str:
    asked = None if settings.device.precision == "auto" else settings.device.precision
    precision = choose_precision(machine, device, asked)
    size = models.weights_bytes(variant)
    offload, _ = choose_offload(size, _gpu(machine, device), settings.device.vram_reserve_bytes)
    words = {"none": "held whole", "group": "streamed from RAM"}
    held = f"{size / GB:.1f} GB on disk" if size else "built when they are first needed"
    return f"{held}, {precision.transformer} on {device}, {words.get(offload, offload)}"


def _gpu(machine: Machine, device: str) -> Gpu | None:
    return next((gpu for gpu in machine.gpus if device == f"cuda:{gpu.index}"), None)

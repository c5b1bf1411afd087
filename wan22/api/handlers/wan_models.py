"""What callers are told of the three models. Gathers weights, device and history, and hands them to the rooms below.

Blocking; the routes call these in a thread. Every figure about speed is of tasks that ran here.
"""

from __future__ import annotations

from collections.abc import Sequence

from wan22.api.handlers.residents import find_resident, view_resident
from wan22.api.model_views import (
    Capabilities,
    Device,
    Expected,
    ModelHealth,
    ModelOverview,
    Overview,
    Performance,
    Recommendation,
    ShortCapabilities,
    ShortPerformance,
    Weights,
)
from wan22.api.services import Services
from wan22.api.views import LastError, view_failure
from wan22.errors import ConfigurationError, ModelCorrupt, ModelMissing, NotFound
from wan22.hardware.choose import choose_device, gpu_of
from wan22.models import reported
from wan22.models.capabilities import TRAINED_SIZES, capabilities_of
from wan22.models.catalogue import SPECS, ModelSpec
from wan22.models.comparison import Comparison, Side, compare
from wan22.models.history import History, history_of, others_of
from wan22.models.recommendation import Candidate, Wish, recommend
from wan22.models.specs import DEMO, OFFICIAL
from wan22.models.variants import Variant
from wan22.tasks import ModelType, Run


def model_named(name: str) -> ModelType:
    """The model of that name, in any case. Raises NotFound that lists the three."""
    try:
        return ModelType(name)
    except ValueError:
        raise no_model(name) from None


def no_model(name: str) -> NotFound:
    """What is said of a name that is none of the three."""
    names = [model_type.value for model_type in ModelType]
    told = f"There is no model {name[:40]!r}; there are {', '.join(names[:-1])} and {names[-1]}."
    return NotFound(told, hint="Put one of these names into the path, in any case.")


def capabilities(services: Services, name: str) -> Capabilities:
    """Every line of what the model can do. Raises NotFound."""
    model_type = model_named(name)
    spec, variant = SPECS[model_type], variant_of(services, model_type)
    return Capabilities(
        model_type=model_type,
        weights=_weights(services, model_type),
        native_fps=spec.fps,
        capabilities=capabilities_of(spec, native_area=variant.native_area if variant else None),
    )


def health(services: Services, name: str) -> ModelHealth:
    """Whether the model can run, and how it has. Raises NotFound."""
    model_type = model_named(name)
    runs = services.queue.history(model_type)
    weights, device = _weights(services, model_type), _device(services)
    history = history_of(runs, weights.variant, device.name)
    resident = find_resident(services, model_type, weights.variant)
    return ModelHealth(
        model_type=model_type,
        weights=weights,
        device=device,
        loaded=view_resident(resident) if resident else None,
        runs=history.runs,
        success_rate=history.success_rate,
        last_error=_last_error(runs),
        said=history.said,
    )


def performance(services: Services, name: str) -> Performance:
    """What was measured, beside what is reported. Raises NotFound."""
    model_type = model_named(name)
    runs = services.queue.history(model_type)
    variant, device = _weights(services, model_type).variant, _device(services).name
    real = variant if variant not in (None, DEMO) else OFFICIAL
    return Performance(
        model_type=model_type,
        measured=history_of(runs, variant, device),
        others=others_of(runs, variant, device),
        expected=expected_of(model_type, history_of(runs, real, device)),
    )


def compare_(services: Services, model_a: str, model_b: str) -> Comparison:
    """The two side by side. Raises NotFound."""
    a, b = model_named(model_a), model_named(model_b)
    return compare(Side(SPECS[a], _history(services, a)), Side(SPECS[b], _history(services, b)))


def recommend_(services: Services, wish: Wish) -> Recommendation:
    """The models by rank, on this machine's GPU where no other VRAM is said. Raises InvalidRequest."""
    vram_bytes = _device(services).vram_bytes if wish.vram_bytes is None else wish.vram_bytes
    understood = Wish(**{**vars(wish), "vram_bytes": vram_bytes})
    found = recommend(understood, [_candidate(services, spec) for spec in SPECS.values()])
    return Recommendation(
        priority=wish.priority, vram_bytes=vram_bytes, recommended=found.recommended, ruled_out=found.ruled_out
    )


def overview(services: Services) -> Overview:
    """All three at a glance."""
    return Overview(
        device=_device(services), models=tuple(_model_overview(services, model_type) for model_type in ModelType)
    )


def expected_of(model_type: ModelType, real: History) -> Expected:
    """What is reported, with the median of tasks with the real weights of the size that it is reported for."""
    said = reported.REPORTED[model_type]
    like = (size for size in real.sizes if (size.width, size.num_frames) == (1280, reported.FRAMES))
    alike = next((size for size in like if size.height in (SPECS[model_type].height, reported.HEIGHT)), None)
    return Expected(
        total_s=said.total_s,
        num_frames=reported.FRAMES,
        measured_total_s=alike.total_s.p50 if alike else None,
        vram_bytes=reported.TYPICAL_VRAM_BYTES,
        max_vram_bytes=reported.MAX_VRAM_BYTES,
        videos_per_hour=reported.VIDEOS_PER_HOUR,
        source=f"Expected by the report on {reported.MACHINE}; it does not say at how many steps.",
    )


def short_capabilities(spec: ModelSpec) -> ShortCapabilities:
    """The lines that tell the models apart, and those that fall short of the report."""
    lines = capabilities_of(spec)
    short = [name for name, line in lines.items() if line.reported is not None and not line.available]
    return ShortCapabilities(
        input_types=lines["input_types"].value,
        max_frames=spec.max_frames,
        trained_sizes=TRAINED_SIZES[spec.model_type],
        native_fps=spec.fps,
        quantization=lines["quantization"].value,
        min_vram_bytes=spec.min_vram_bytes,
        min_ram_bytes=lines["min_ram_bytes"].value,
        not_as_reported=tuple(short),
    )


def short_performance(history: History) -> ShortPerformance:
    """The history in a few values."""
    same = {name: getattr(history, name) for name in ShortPerformance.model_fields if name != "p50_total_s"}
    return ShortPerformance(**same, p50_total_s=history.total_s.p50)


def _model_overview(services: Services, model_type: ModelType) -> ModelOverview:
    spec, runs = SPECS[model_type], services.queue.history(model_type)
    weights = _weights(services, model_type)
    return ModelOverview(
        model_type=model_type,
        purpose=spec.purpose,
        weights=weights,
        capabilities=short_capabilities(spec),
        performance=short_performance(history_of(runs, weights.variant, _device(services).name)),
        last_error=_last_error(runs),
    )


def _candidate(services: Services, spec: ModelSpec) -> Candidate:
    weights = _weights(services, spec.model_type)
    return Candidate(spec, weights.state, weights.why, _history(services, spec.model_type))


def _history(services: Services, model_type: ModelType) -> History:
    """With the weights and on the device of now."""
    variant = variant_of(services, model_type)
    return history_of(services.queue.history(model_type), variant.name if variant else None, _device(services).name)


def variant_of(services: Services, model_type: ModelType) -> Variant | None:
    """The weights in use; None where those that the settings want are not whole, or damaged."""
    try:
        return services.models.get(model_type)
    except (ModelMissing, ModelCorrupt):
        return None


def _weights(services: Services, model_type: ModelType) -> Weights:
    variant, report = variant_of(services, model_type), services.models.describe(model_type)
    return Weights(
        state=("demo" if variant.is_demo else "ready") if variant else report.state,
        variant=variant.name if variant else None,
        real=report.state,
        missing=report.missing,
        why=variant.why if variant else report.why,
    )


def _device(services: Services) -> Device:
    machine = services.probe()
    try:
        name = choose_device(machine, services.settings.device.device)
    except ConfigurationError as error:
        return Device(name=None, gpu=None, vram_bytes=None, why=error.detail)
    gpu = gpu_of(machine, name)
    return Device(name=name, gpu=gpu.name if gpu else None, vram_bytes=gpu.vram_total_bytes if gpu else None, why="")


def _last_error(runs: Sequence[Run]) -> LastError | None:
    failed = next((run for run in runs if run.error), None)
    if failed is None or failed.error is None:
        return None
    return LastError(task_id=failed.task_id, at=failed.finished_at, error=view_failure(failed.task_id, failed.error))

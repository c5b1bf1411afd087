"""What callers are told of the models' files, and what they may have done about them: fetch, verify, stop.

Blocking; the routes call these in a thread. Those that may ask the hub take seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from wan22.api.download_views import (
    DownloadPlanView,
    FileRun,
    GpuMemory,
    ModelFolder,
    ModelsHealth,
    ModelStatus,
    ModelStatuses,
    PlannedFileView,
    ResidentView,
    RunError,
    Runs,
    RunView,
    State,
    Unloaded,
    VerifyAnswer,
    WrongFileView,
)
from wan22.api.handlers.wan_models import model_named, variant_of
from wan22.api.services import Services
from wan22.api.views import problem_from
from wan22.api.wording import nearest_word, unknown
from wan22.errors import FieldError, InvalidRequest
from wan22.models.catalogue import SPECS
from wan22.models.download import DownloadPlan
from wan22.models.download.disk import free_bytes
from wan22.models.download.manifest import find_manifest
from wan22.models.downloads import RunStatus, share_of
from wan22.models.files import weights_bytes
from wan22.models.variants import VariantReport
from wan22.models.verification import WrongFile, find_check, hashed_at
from wan22.orchestrator.residency import Resident
from wan22.tasks import ModelType

STATUS = "/api/v1/models/status"
KNOWN = ("model_type", "variant")
LATER = "source"
"""A field of the contract that this version does not serve yet."""


def statuses(services: Services) -> ModelStatuses:
    """All three."""
    return ModelStatuses(models=tuple(_status(services, model_type) for model_type in ModelType))


def status(services: Services, name: str) -> ModelStatus:
    """One of them. Raises NotFound."""
    return _status(services, model_named(name))


def download(services: Services, model_type: ModelType) -> RunView:
    """Start a download, or join the one that runs. Raises DownloadFailed, DiskFull, WrongState."""
    return view_run(services.downloads.start(model_type))


def plan(services: Services, name: str) -> DownloadPlanView:
    """What it would fetch. Raises NotFound, DownloadFailed."""
    model_type = model_named(name)
    return view_plan(model_type, services.downloads.plan(model_type), services.downloads.bytes_per_s)


def progress(services: Services) -> Runs:
    """How every run stands."""
    return Runs(runs=tuple(view_run(run) for run in services.downloads.status()))


def cancel(services: Services, name: str) -> RunView:
    """Ask the run of a model to end. Raises NotFound, WrongState."""
    return view_run(services.downloads.cancel(model_named(name)))


def verify(services: Services, name: str, *, quick: bool, repair: bool) -> VerifyAnswer:
    """Look at sizes at once; read or mend in a run. Raises NotFound, DownloadFailed, WrongState."""
    model_type = model_named(name)
    if quick and not repair:
        wrong, run = services.downloads.wrong_sizes(model_type), None
    else:
        begun = services.downloads.verify(model_type, quick=quick, repair=repair)
        wrong, run = begun.wrong, view_run(begun)
    return VerifyAnswer(model_type=model_type, quick=quick, repair=repair, wrong=_wrong(wrong), run=run)


async def unload(services: Services, name: str) -> Unloaded:
    """Give a model's memory back. Raises NotFound, WrongState while a task runs."""
    model_type = model_named(name)
    held = {resident.key: view_resident(resident) for resident in services.residents()}
    dropped = await services.unload(model_type)
    return Unloaded(model_type=model_type, unloaded=tuple(held[key] for key in dropped if key in held))


def health(services: Services) -> ModelsHealth:
    """What is held and what is left."""
    machine, residents, runs = services.probe(), services.residents(), services.downloads.status()
    return ModelsHealth(
        residents=tuple(view_resident(resident) for resident in residents),
        resident_bytes=sum(resident.model.size_bytes for resident in residents),
        process_ram_bytes=psutil.Process().memory_info().rss,
        ram_available_bytes=machine.ram_available_bytes,
        ram_total_bytes=machine.ram_total_bytes,
        gpus=tuple(
            GpuMemory(
                name=gpu.name,
                vram_total_bytes=gpu.vram_total_bytes,
                vram_used_bytes=gpu.vram_total_bytes - gpu.vram_free_bytes,
            )
            for gpu in machine.gpus
        ),
        folders=_folders(services),
        running=tuple(run.model_type for run in runs if run.state == "running"),
        last_error=_last_error(runs),
    )


def asked_for(fields: Mapping[str, Any]) -> ModelType:
    """The model that a download call names. Raises InvalidRequest with one entry for each wrong field."""
    wrong = [_stranger(name, fields[name]) for name in list(fields)[:50] if name not in KNOWN]
    variant = fields.get("variant") or "dev"
    if not (isinstance(variant, str) and variant.strip().lower() == "dev"):
        cure = "must be dev, the real weights; the demo ones come with the server"
        wrong.append(FieldError("variant", cure, variant))
    name = fields.get("model_type")
    try:
        model_type = ModelType(name)
    except ValueError:
        wrong.append(_no_model(name))
    if wrong:
        raise InvalidRequest(wrong)
    return model_type


def view_run(run: RunStatus) -> RunView:
    """A run as it is shown."""
    files = run.progress.files
    error = problem_from(run.error, f"{STATUS}/{run.model_type.value}") if run.error else None
    return RunView(
        **{name: getattr(run, name) for name in ("model_type", "kind", "state", "cancel_requested", "repository")},
        **{name: getattr(run.progress, name) for name in ("done_bytes", "size_bytes", "fetched_bytes", "bytes_per_s")},
        **{name: getattr(run.progress, name) for name in ("eta_s", "retries")},
        target=str(run.target),
        progress=share_of(run.progress),
        sources=tuple(dict.fromkeys(file.source for file in files if file.source and file.state == "fetching")),
        files_done=sum(file.state == "done" for file in files),
        files=tuple(FileRun(**vars(file)) for file in files),
        wrong=_wrong(run.wrong),
        started_at=run.started_at,
        ended_at=run.ended_at,
        error=error,
    )


def view_plan(model_type: ModelType, plan: DownloadPlan, bytes_per_s: float | None) -> DownloadPlanView:
    """A plan as it is shown, with the seconds at that speed."""
    return DownloadPlanView(
        model_type=model_type,
        repository=plan.listing.repository,
        revision=plan.listing.commit,
        licence=SPECS[model_type].licence,
        target=str(plan.target),
        size_bytes=plan.chosen.size,
        missing_bytes=plan.missing_bytes,
        free_bytes=plan.free_bytes,
        fits=plan.fits,
        bytes_per_s=bytes_per_s,
        eta_s=plan.seconds_at(bytes_per_s),
        files=tuple(
            PlannedFileView(
                path=planned.file.path,
                size_bytes=planned.file.size,
                missing_bytes=planned.missing_bytes,
                checked=planned.checked,
            )
            for planned in plan.files
        ),
    )


def view_resident(resident: Resident[Any]) -> ResidentView:
    """A loaded model as it is shown."""
    key = resident.key
    return ResidentView(
        model_type=ModelType(key.model_type),
        variant=key.variant,
        device=key.device,
        precision=dict(key.precision),
        offload=key.offload,
        size_bytes=resident.model.size_bytes,
        leases=resident.leases,
        idle_s=None if resident.leases else round(time.monotonic() - resident.used_at, 1),
    )


def _status(services: Services, model_type: ModelType) -> ModelStatus:
    spec, report, variant = SPECS[model_type], services.models.describe(model_type), variant_of(services, model_type)
    target = services.models.place_to_fetch(spec)
    check, kept, run = find_check(target), find_manifest(target), services.downloads.find(model_type)
    loaded = _loaded(services, model_type, variant.name if variant else None)
    wrong = check.wrong if check else ()
    return ModelStatus(
        model_type=model_type,
        state=state_of(report, wrong, run, loaded),
        why=report.why,
        variant=variant.name if variant else None,
        path=str(target),
        missing=report.missing,
        wrong=_wrong(wrong),
        weights_bytes=weights_bytes(target),
        on_disk_bytes=_bytes_in(target),
        repository=spec.repository,
        revision=kept.commit if kept and kept.repository == spec.repository else None,
        licence=spec.licence,
        precision=dict(loaded.key.precision) if loaded else None,
        device=loaded.key.device if loaded else None,
        verified_at=hashed_at(target),
        run=view_run(run) if run else None,
    )


def state_of(
    report: VariantReport, wrong: Iterable[WrongFile], run: RunStatus | None, loaded: Resident[Any] | None
) -> State:
    """One word for the real weights: what goes on before what is wrong, and that before what is used."""
    if run and run.state == "running" and run.kind == "download":
        return "downloading"
    if report.state == "ready" and tuple(wrong):
        return "corrupt"
    return "loaded" if loaded and loaded.key.variant == "dev" else report.state


def _loaded(services: Services, model_type: ModelType, variant: str | None) -> Resident[Any] | None:
    """The resident of a model, that of the variant in use before another."""
    found = [resident for resident in services.residents() if resident.key.model_type == model_type.value]
    return next((one for one in found if one.key.variant == variant), next(iter(found), None))


def _bytes_in(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError:  # a file went while it was looked at, as parts do when they get their names
        return weights_bytes(folder)


def _folders(services: Services) -> tuple[ModelFolder, ...]:
    places = (services.models.place_to_fetch(spec).parent.parent for spec in SPECS.values())
    return tuple(ModelFolder(path=str(path), free_bytes=free_bytes(path)) for path in dict.fromkeys(places))


def _last_error(runs: Iterable[RunStatus]) -> RunError | None:
    failed = [run for run in runs if run.error]
    if not failed:
        return None
    last = max(failed, key=lambda run: run.ended_at or run.started_at)
    error = view_run(last).error
    return RunError(model_type=last.model_type, kind=last.kind, at=last.ended_at, error=error) if error else None


def _wrong(files: Iterable[WrongFile]) -> tuple[WrongFileView, ...]:
    return tuple(WrongFileView(path=file.path, fault=file.fault) for file in files)


def _stranger(name: str, value: Any) -> FieldError:
    if name == LATER:
        cure = "leave it out: the settings of download name the sources"
        return FieldError(name, f"is part of the API, but not served by this version yet; {cure}", value)
    return unknown(name, value, known=KNOWN, nearest=nearest_word(name, KNOWN))


def _no_model(name: Any) -> FieldError:
    names = [model_type.value for model_type in ModelType]
    nearest = nearest_word(name, names) if isinstance(name, str) else None
    asked = f"; did you mean {nearest}?" if nearest else ""
    return FieldError("model_type", f"must be one of {', '.join(names[:-1])} or {names[-1]}{asked}", name)

"""What callers are told of the models' files, and what they may have done about them: fetch, verify, stop.

Blocking; the routes call these in a thread. Those that may ask the hub take seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    RunError,
    Runs,
    RunView,
    State,
    VariantView,
    VerifyAnswer,
    WrongFileView,
)
from wan22.api.handlers.residents import find_resident, last_load_error, view_resident
from wan22.api.handlers.wan_models import model_named, variant_of
from wan22.api.handlers.wanted import Wanted
from wan22.api.services import Services
from wan22.api.views import LastError, problem_from, view_failure
from wan22.errors import WrongState
from wan22.models.catalogue import SPECS
from wan22.models.download.disk import free_bytes
from wan22.models.download.manifest import find_manifest
from wan22.models.files import weights_bytes
from wan22.models.run_status import RunStatus, share_of
from wan22.models.specs import DEMO, VariantSpec
from wan22.models.variants import VariantReport
from wan22.models.verification import Check, WrongFile, find_check, hashed_at
from wan22.models.weights_plan import WeightsPlan
from wan22.orchestrator.residency import Resident
from wan22.tasks import ModelType, Status

STATUS = "/api/v1/models/status"


def statuses(services: Services) -> ModelStatuses:
    """All three."""
    return ModelStatuses(models=tuple(_status(services, model_type) for model_type in ModelType))


def status(services: Services, name: str) -> ModelStatus:
    """One of them. Raises NotFound."""
    return _status(services, model_named(name))


def download(services: Services, wanted: Wanted) -> RunView:
    """Start a download, or join the one that runs. Raises DownloadFailed, DiskFull, WrongState."""
    return view_run(services.downloads.start(wanted.model_type, wanted.variant, wanted.source))


def plan(services: Services, name: str, variant: str) -> DownloadPlanView:
    """What it would fetch. Raises NotFound, InvalidRequest, DownloadFailed, WrongState."""
    model_type = model_named(name)
    return view_plan(model_type, services.downloads.plan(model_type, variant), services.downloads.bytes_per_s)


def progress(services: Services) -> Runs:
    """How every run stands."""
    return Runs(runs=tuple(view_run(run) for run in services.downloads.status()))


def cancel(services: Services, name: str) -> RunView:
    """Ask the run of a model to end. Raises NotFound, WrongState."""
    return view_run(services.downloads.cancel(model_named(name)))


def verify(services: Services, name: str, variant: str | None, *, quick: bool, repair: bool) -> VerifyAnswer:
    """Look at sizes and headers at once; read or mend in a run.

    Raises NotFound, InvalidRequest, ModelMissing, DownloadFailed, WrongState.
    """
    model_type = model_named(name)
    variant = variant or services.models.in_use(model_type)
    if quick and not repair:
        plan = services.downloads.plan_check(model_type, variant, quick=True)
        check = Check(plan.sought, quick=True)
        check.run()
        wrong, run = check.wrong, None
    else:
        plan = services.downloads.plan_check(model_type, variant)
        begun = services.downloads.verify(model_type, variant, quick=quick, repair=repair)
        wrong, run = begun.wrong, view_run(begun)
    return VerifyAnswer(
        model_type=model_type, quick=quick, repair=repair, hashed=plan.is_hashed, wrong=_wrong(wrong), run=run
    )


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
        last_load_error=last_load_error(services),
        last_task_error=_last_task_error(services),
    )


def view_run(run: RunStatus) -> RunView:
    """A run as it is shown."""
    files = run.progress.files
    error = problem_from(run.error, f"{STATUS}/{run.model_type.value}") if run.error else None
    return RunView(
        **{name: getattr(run, name) for name in ("model_type", "variant", "kind", "state")},
        **{name: getattr(run, name) for name in ("cancel_requested", "repository")},
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


def view_plan(model_type: ModelType, plan: WeightsPlan, bytes_per_s: float | None) -> DownloadPlanView:
    """A plan as it is shown, with the seconds at that speed."""
    return DownloadPlanView(
        model_type=model_type,
        variant=plan.variant.name,
        repository=plan.listing.repository,
        revision=plan.listing.commit,
        licence=plan.variant.licence,
        target=str(plan.target),
        size_bytes=plan.size_bytes,
        missing_bytes=plan.missing_bytes,
        cached_bytes=plan.cached_bytes,
        free_bytes=plan.free_bytes,
        fits=plan.fits,
        bytes_per_s=bytes_per_s,
        eta_s=plan.seconds_at(bytes_per_s),
        files=tuple(
            PlannedFileView(
                path=planned.file.path,
                repository=one.listing.repository,
                folder=str(one.target),
                size_bytes=planned.file.size,
                missing_bytes=planned.missing_bytes,
                checked=planned.checked,
            )
            for one in plan.plans
            for planned in one.files
        ),
    )


def _status(services: Services, model_type: ModelType) -> ModelStatus:
    report, variant = services.models.describe(model_type), variant_of(services, model_type)
    known = services.models.known(model_type, report.name)
    target = report.path or services.models.place_to_fetch(SPECS[model_type], report.name)
    check, kept, run = find_check(target), find_manifest(target), services.downloads.find(model_type)
    loaded = find_resident(services, model_type, variant.name if variant else None)
    wrong = check.wrong if check else ()
    return ModelStatus(
        model_type=model_type,
        state=state_of(report, run if run and not _is_of_lora(services, run) else None, loaded),
        why=report.why,
        variant=variant.name if variant else None,
        variants=tuple(
            view_variant(one, services.models.describe(model_type, one.name), run)
            for one in services.models.variants(model_type)
        ),
        loras=tuple(
            view_variant(one, services.models.describe_lora(one), run) for one in services.models.loras(model_type)
        ),
        path=str(target),
        missing=report.missing,
        wrong=_wrong(wrong),
        weights_bytes=weights_bytes(target),
        on_disk_bytes=_bytes_in(target),
        repository=known.repository,
        revision=kept.commit if kept and kept.repository == known.repository else None,
        licence=known.licence,
        precision=dict(loaded.key.precision) if loaded else None,
        device=loaded.key.device if loaded else None,
        verified_at=hashed_at(target) if report.parts else None,
        run=view_run(run) if run else None,
    )


def view_variant(variant: VariantSpec, report: VariantReport, run: RunStatus | None = None) -> VariantView:
    """A variant as it is shown; `run` may be of it."""
    return VariantView(
        **{name: getattr(variant, name) for name in ("name", "about", "precision", "repository", "licence")},
        state="downloading" if is_fetching(run) and run and run.variant == variant.name else report.state,
        why=report.why or "It ships with the server.",
        path=report.path.as_posix() if report.path else None,
    )


def state_of(report: VariantReport, run: RunStatus | None, loaded: Resident[Any] | None) -> State:
    """One word for the real weights: what goes on before what is wrong, and that before what is used.

    That another variant is fetched is nothing to one that can be used.
    """
    if run and is_fetching(run) and (run.variant == report.name or report.state != "ready"):
        return "downloading"
    is_loaded = report.state != "corrupt" and loaded and loaded.key.variant != DEMO
    return "loaded" if is_loaded else report.state


def is_fetching(run: RunStatus | None) -> bool:
    """Whether a download goes on."""
    return run is not None and run.state == "running" and run.kind == "download"


def _is_of_lora(services: Services, run: RunStatus) -> bool:
    return run.variant in {lora.name for lora in services.models.loras(run.model_type)}


def _bytes_in(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError:  # a file went while it was looked at, as parts do when they get their names
        return weights_bytes(folder)


def _folders(services: Services) -> tuple[ModelFolder, ...]:
    places = (services.models.place_to_fetch(spec).parent.parent for spec in SPECS.values())
    return tuple(ModelFolder(path=str(path), free_bytes=_free_bytes(path)) for path in dict.fromkeys(places))


def _free_bytes(folder: Path) -> int | None:
    try:
        return free_bytes(folder)
    except WrongState:
        return None


def _last_error(runs: Iterable[RunStatus]) -> RunError | None:
    failed = [run for run in runs if run.error]
    if not failed:
        return None
    last = max(failed, key=lambda run: run.ended_at or run.started_at)
    error = view_run(last).error
    return RunError(model_type=last.model_type, kind=last.kind, at=last.ended_at, error=error) if error else None


def _last_task_error(services: Services) -> LastError | None:
    task = next(iter(services.queue.list(status=Status.FAILED, limit=1).tasks), None)
    if task is None or task.error is None:
        return None
    return LastError(task_id=task.task_id, at=task.finished_at, error=view_failure(task.task_id, task.error))


def _wrong(files: Iterable[WrongFile]) -> tuple[WrongFileView, ...]:
    return tuple(WrongFileView(path=file.path, fault=file.fault) for file in files)

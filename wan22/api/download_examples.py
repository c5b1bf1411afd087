"""The worked examples of the calls about the models' files, made by the code that answers them over a small plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from wan22.api import examples
from wan22.api.download_views import (
    GpuMemory,
    Loaded,
    ModelFolder,
    ModelsHealth,
    ModelStatus,
    ModelStatuses,
    Runs,
    Unloaded,
    VariantView,
    VerifyAnswer,
    WrongFileView,
)
from wan22.api.handlers.downloads import view_plan, view_run, view_variant
from wan22.api.handlers.residents import view_resident
from wan22.api.handlers.wanted import KNOWN
from wan22.api.views import View
from wan22.api.wording import unknown
from wan22.errors import DiskFull, DownloadFailed, InvalidRequest, ModelMissing, OutOfMemory, ServerFault, WrongState
from wan22.models.catalogue import SPECS, VARIANTS
from wan22.models.download import (
    DownloadPlan,
    DownloadProgress,
    FileProgress,
    Listing,
    PlannedFile,
    WantedFile,
)
from wan22.models.downloads import nothing_runs
from wan22.models.run_status import RunStatus
from wan22.models.specs import VariantSpec
from wan22.models.variants import VariantReport
from wan22.models.weights_plan import WeightsPlan
from wan22.orchestrator.residency import ModelKey, Resident
from wan22.tasks import ModelType

TI2V = ModelType.TI2V_5B
_SPEC = SPECS[TI2V]
_TARGET = Path("/models/ti2v-5b/dev")
_COMMIT = "b8fff7315c768468a5333511427288870b2e9635"
_SPEED = 42_000_000.0
_AT = datetime(2026, 11, 20, 10, 15, 30, tzinfo=timezone.utc)

DOWNLOAD = {"model_type": "TI2V-5B", "variant": "dev"}
WRONG_BODY = InvalidRequest([unknown("model_typ", "TI2V-5B", known=KNOWN, nearest="model_type")])
WRONG_VARIANT = InvalidRequest.of("variant", "must be one of dev, comfy-fp16, gguf-q8_0 or gguf-q4_k_m", "gguf")
HELD_ELSEWHERE = WrongState(
    "dev of TI2V-5B is whole in /home/me/.cache/huggingface, Hugging Face's cache, and used from there.",
    hint="To have a copy of its own, set models.use_hf_cache to false or leave models.comfyui_dirs empty.",
)
WRONG_FLAG = InvalidRequest.of("quick", "must be true or false", "maybe")
NOTHING_RUNS = nothing_runs(TI2V)
BUSY = WrongState("TI2V-5B is being verified.", hint="Wait until that has ended, or cancel it.")
IN_USE = WrongState(
    "The device is in use by a task, or the server is stopping.",
    hint="Wait until the task has ended, or cancel it, then try again.",
)
NO_WEIGHTS = ModelMissing(
    f"The real weights of {TI2V.value} are not on disk: no folder {_SPEC.slug}/dev in /models. "
    "Run `wan22 models download ti2v-5b`, or set models.variant to auto for the demo weights."
)
TOO_LARGE = OutOfMemory(
    "Memory ran out while loading the model (CUDA out of memory). Close what else uses memory, ask for quantization "
    "bf16, or for TI2V-5B, the smallest model."
)
TAKEN = WrongState(
    "There is a LoRA file sunset.safetensors already.",
    hint="Send it under another name, or with `?replace=true` to put it in the place of the old one.",
)
NO_LORA_FOLDER = ServerFault(
    "The LoRA folder /home/ada/.local/share/wan22/loras can't be used: Permission denied.",
    hint="Check that the server's account may read and write there, then send the file again.",
)
NO_LORA = InvalidRequest.of("file", "can't be used as a LoRA. It is cut off, damaged or no safetensors file.")
NO_ROOM = DiskFull(
    f"{_SPEC.repository} needs 34,200,000,000 bytes more in {_TARGET.as_posix()} and 200,000,000 to spare, and "
    "20,000,000,000 bytes are free there.",
    hint="Nothing was fetched. Free space, or name a folder on another disk first in models.models_dirs.",
)
NO_HUB = DownloadFailed(
    f"hub https://huggingface.co does not list {_SPEC.repository} at {_COMMIT}, the connection failed."
)

_VAE = WantedFile("vae/diffusion_pytorch_model.safetensors", 2_818_760_000, "sha256", "9f" * 32)
_INDEX = WantedFile("model_index.json", 497, "git-sha1", "a7" * 20)
_LISTING = Listing(_SPEC.repository, _COMMIT, _COMMIT, (_INDEX, _VAE))
_OF_HUB = DownloadPlan(
    _LISTING,
    _LISTING,
    _TARGET,
    (PlannedFile(_INDEX, _INDEX.size, checked=True), PlannedFile(_VAE, 1_200_000_000)),
    free_bytes=812_000_000_000,
)
_PLAN = WeightsPlan(VARIANTS[TI2V]["dev"], (_OF_HUB,))
_FETCHING = DownloadProgress(
    "running",
    (
        FileProgress(_INDEX.path, _INDEX.size, _INDEX.size, state="done"),
        FileProgress(_VAE.path, _VAE.size, 1_410_000_000, "hub https://huggingface.co", 1, "fetching"),
    ),
    fetched_bytes=210_000_000,
    bytes_per_s=_SPEED,
)
_RUN = RunStatus(TI2V, "download", "running", _SPEC.repository, _TARGET, _FETCHING, _AT)
_RESIDENT = Resident(
    ModelKey(
        TI2V.value,
        "dev",
        "cuda:0",
        (("text_encoder", "bf16"), ("transformer", "bf16"), ("vae", "fp32")),
        "group",
    ),
    SimpleNamespace(size_bytes=24_000_000_000, close=lambda: None),
    leases=1,
)


_SHOWN = view_resident(_RESIDENT).model_copy(update={"used_at": _AT})


def _variant(variant: VariantSpec) -> VariantView:
    report = VariantReport("missing", f"It is not on disk: no folder {_SPEC.slug}/{variant.name} in /models.")
    if variant.name == "dev":
        report = VariantReport("ready", f"The real weights of {TI2V.value} (dev) are in {_TARGET}.", _TARGET)
    return view_variant(variant, report)


def _lora(lora: VariantSpec) -> VariantView:
    missing = ", ".join(map(lora.place_of, lora.files))
    return view_variant(lora, VariantReport("missing", f"/loras/{_SPEC.slug}/{lora.name} lacks {missing}."))


def _json(view: View) -> dict[str, Any]:
    shown: dict[str, Any] = view.model_dump(mode="json")
    return {**shown, "target": _TARGET.as_posix()} if "target" in shown else shown


RUN = _json(view_run(_RUN))
RUNS = {**_json(Runs(runs=(view_run(_RUN),))), "runs": [RUN]}
CANCELLING = {**RUN, "cancel_requested": True}
PLAN = _json(view_plan(TI2V, _PLAN, _SPEED))

STATUS = _json(
    ModelStatus(
        model_type=TI2V,
        state="loaded",
        why=f"The real weights of {TI2V.value} are in {_TARGET.as_posix()}.",
        variant="dev",
        variants=tuple(_variant(one) for one in VARIANTS[TI2V].values() if not one.is_lora),
        loras=tuple(_lora(one) for one in VARIANTS[TI2V].values() if one.is_lora),
        path=_TARGET.as_posix(),
        missing=(),
        wrong=(),
        weights_bytes=34_200_000_000,
        on_disk_bytes=34_221_000_000,
        repository=_SPEC.repository,
        revision=_COMMIT,
        licence=_SPEC.licence,
        precision=dict(_RESIDENT.key.precision),
        device=_RESIDENT.key.device,
        verified_at=_AT,
        run=None,
    )
)
STATUSES = {**ModelStatuses(models=()).model_dump(mode="json"), "models": [STATUS]}

_WRONG = WrongFileView(path=_VAE.path, fault="wrong size")
QUICK = _json(VerifyAnswer(model_type=TI2V, quick=True, repair=False, hashed=True, wrong=(_WRONG,), run=None))
_READ = replace(_FETCHING, files=tuple(replace(file, source=None, retries=0) for file in _FETCHING.files))
VERIFYING = {
    **_json(VerifyAnswer(model_type=TI2V, quick=False, repair=False, hashed=True, wrong=(), run=None)),
    "run": _json(view_run(replace(_RUN, kind="verify", progress=_READ))),
}

HEALTH = _json(
    ModelsHealth(
        residents=(_SHOWN,),
        resident_bytes=_RESIDENT.model.size_bytes,
        process_ram_bytes=27_412_000_000,
        ram_available_bytes=88_000_000_000,
        ram_total_bytes=137_300_000_000,
        gpus=(
            GpuMemory(name="NVIDIA GeForce RTX 4080", vram_total_bytes=17_171_480_576, vram_used_bytes=9_412_345_856),
        ),
        folders=(ModelFolder(path="/models", free_bytes=812_000_000_000),),
        running=(),
        last_error=None,
        last_load_error=None,
        last_task_error=None,
    )
)

LOADED = _json(Loaded(model_type=TI2V, was_loaded=False, loaded=_SHOWN.model_copy(update={"leases": 0, "idle_s": 0.0})))
UNLOADED = _json(Unloaded(model_type=TI2V, unloaded=(_SHOWN.model_copy(update={"leases": 0, "idle_s": 61.5}),)))

LORA = examples.LORAS["loras"][0]

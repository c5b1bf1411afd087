"""The worked examples of the calls about models, made by the code that answers them over three tasks made up here."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from wan22.api.download_views import ResidentView
from wan22.api.examples import NO_MODEL as NAME_OF_NONE
from wan22.api.examples import TASK_ID
from wan22.api.handlers.wan_models import expected_of, no_model, short_capabilities, short_performance
from wan22.api.model_views import (
    Capabilities,
    Device,
    ModelHealth,
    ModelOverview,
    Overview,
    Performance,
    Recommendation,
    Weights,
)
from wan22.api.problems import problem_of
from wan22.api.views import LastError, View
from wan22.errors import InvalidRequest, OutOfMemory
from wan22.models.capabilities import capabilities_of
from wan22.models.catalogue import SPECS
from wan22.models.comparison import Side, compare
from wan22.models.history import History, history_of
from wan22.models.recommendation import Candidate, Wish, recommend
from wan22.tasks import Failure, ModelType, Run, Status

T2V, TI2V = ModelType.T2V_A14B, ModelType.TI2V_5B

NO_MODEL = no_model(NAME_OF_NONE)
WRONG_PRIORITY = InvalidRequest.of(
    "priority", "must be one of 'speed', 'quality' or 'memory'; did you mean speed?", "sped"
)

_AT = datetime(2026, 11, 20, 10, 16, 29, 100_000, tzinfo=timezone.utc)
_ERROR = OutOfMemory("Memory ran out while denoising (CUDA out of memory). Ask for a smaller size or fewer frames.")


def _run(total_s: float, **changes: Any) -> Run:
    fields: dict[str, Any] = {
        "task_id": TASK_ID,
        "status": Status.COMPLETED,
        "variant": "dev",
        "device": "cuda:0",
        "mode": "video",
        "width": 1280,
        "height": 720,
        "num_frames": 16,
        "num_videos": 1,
        "guidance_scale": 1.0,
        "total_steps": 4,
        "denoise_s": total_s - 12.7,
        "total_s": total_s,
        "peak_vram_bytes": 9_412_345_856,
        "finished_at": _AT,
    }
    return Run(**{**fields, **changes})


_FAILURE = Failure.of(_ERROR)
_RUNS = (_run(58.7), _run(52.7), _run(9.0, status=Status.FAILED, peak_vram_bytes=None, error=_FAILURE))
_HISTORY = history_of(_RUNS, "dev", "cuda:0")
_WEIGHTS = Weights(
    state="ready",
    variant="dev",
    real="ready",
    missing=(),
    why="The real weights of T2V-A14B are in /models/t2v-A14B/dev.",
)
_DEVICE = Device(name="cuda:0", gpu="NVIDIA GeForce RTX 4080", vram_bytes=17_171_480_576, why="")
_LOADED = ResidentView(
    model_type=T2V,
    variant="dev",
    device="cuda:0",
    precision={"transformer": "bf16", "text_encoder": "bf16", "vae": "fp32"},
    offload="group",
    size_bytes=69_000_000_000,
    leases=0,
    idle_s=12.5,
    used_at=_AT,
)
_LAST_ERROR = LastError(task_id=TASK_ID, at=_AT, error=problem_of(_ERROR, f"/api/v1/generation/{TASK_ID}"))


def _json(view: View | Any) -> dict[str, Any]:
    shown: dict[str, Any] = view.model_dump(mode="json")
    return shown


def _recommendation() -> Recommendation:
    wish = Wish(has_image=False, has_prompt=True, width=1280, height=720, vram_bytes=16_000_000_000, priority="speed")
    nothing: History = history_of((), "dev", "cuda:0")
    ready = "The real weights of {} are in /models/{}/dev."
    found = recommend(
        wish,
        [
            Candidate(
                spec,
                "ready",
                ready.format(spec.model_type.value, spec.slug),
                _HISTORY if spec is SPECS[T2V] else nothing,
            )
            for spec in SPECS.values()
        ],
    )
    return Recommendation(
        priority=wish.priority, vram_bytes=wish.vram_bytes, recommended=found.recommended, ruled_out=found.ruled_out
    )


CAPABILITIES = _json(
    Capabilities(model_type=T2V, weights=_WEIGHTS, native_fps=SPECS[T2V].fps, capabilities=capabilities_of(SPECS[T2V]))
)

HEALTH = _json(
    ModelHealth(
        model_type=T2V,
        weights=_WEIGHTS,
        device=_DEVICE,
        loaded=_LOADED,
        runs=_HISTORY.runs,
        success_rate=_HISTORY.success_rate,
        last_error=_LAST_ERROR,
        said=_HISTORY.said,
    )
)

PERFORMANCE = _json(Performance(model_type=T2V, measured=_HISTORY, others=(), expected=expected_of(T2V, _HISTORY)))

COMPARISON = _json(compare(Side(SPECS[T2V], _HISTORY), Side(SPECS[TI2V], history_of((), "dev", "cuda:0"))))

RECOMMENDATION = _json(_recommendation())

OVERVIEW = _json(
    Overview(
        device=_DEVICE,
        models=(
            ModelOverview(
                model_type=T2V,
                purpose=SPECS[T2V].purpose,
                weights=_WEIGHTS,
                capabilities=short_capabilities(SPECS[T2V]),
                performance=short_performance(_HISTORY),
                last_error=_LAST_ERROR,
            ),
        ),
    )
)

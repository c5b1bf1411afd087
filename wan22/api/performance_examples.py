"""The worked examples of the calls about optimizations, of the report's machine."""

from __future__ import annotations

from typing import Any

from wan22.api.handlers.performance import asked_for
from wan22.errors import InvalidRequest, WrongState
from wan22.orchestrator.optimizations.registry import BY_ID

NO_PARAMETER = InvalidRequest.of("verbose", "is unknown; there are none here; leave it out", "1")
IN_USE = WrongState(
    "The device is in use by a task, or the server is stopping.",
    hint="Wait until the task has ended, or cancel it, then try again.",
)

OPTIMIZE: dict[str, Any] = {"optimizations": ["vram-budget"], "dry_run": False}


def _no_such() -> InvalidRequest:
    try:
        asked_for({"optimizations": ["vram-budgets"]})
    except InvalidRequest as error:
        return error
    raise AssertionError("there is one of that name")


NO_SUCH = _no_such()

_GAIN = {
    "work": "256 MiB from RAM to the GPU, from plain and from pinned memory",
    "without_s": 0.0241,
    "with_s": 0.0107,
    "times_faster": 2.252,
    "at": "2026-11-20T10:16:29.100Z",
}


def _shown(optimization_id: str, why: str, gain: dict[str, Any] | None = None) -> dict[str, Any]:
    one = BY_ID[optimization_id]
    said = {name: getattr(one, name) for name in ("id", "name", "kind", "about", "can_turn_off")}
    return {**said, "state": "active", "why": why, "gain": gain}


_BUDGET = _shown(
    "vram-budget",
    "torch may take 15 GiB of 16 GiB; the rest is left. More is an error, after which a smaller way is tried, and no "
    "slow spill into RAM.",
)

OPTIMIZATIONS: dict[str, Any] = {
    "optimizations": [
        _BUDGET,
        _shown(
            "cuda-allocation",
            "Streamed weights pass through pinned RAM, from which the GPU fetches them while it computes.",
            _GAIN,
        ),
    ]
}

OPTIMIZED: dict[str, Any] = {"dry_run": False, "optimizations": [{**_BUDGET, "outcome": "already_active"}]}

"""The worked examples of the calls about alerts, of the report's machine."""

from __future__ import annotations

from typing import Any

from wan22.errors import InvalidRequest, NotFound

ALERT_ID = 1
NO_ALERT = NotFound("There is no alert '1'.", hint="`GET /api/v1/dashboard/alerts` lists them.")
WRONG_PARAMETER = InvalidRequest.of("include_cleared", "must be true or false", "maybe")
NO_PARAMETER = InvalidRequest.of("by", "is unknown; there are none here; leave it out", "ada")

ALERT: dict[str, Any] = {
    "rule": "steps_slow",
    "subject": "T2V-A14B",
    "severity": "warning",
    "detail": "A step of T2V-A14B takes 61.2 s at 1280x720 and 81 frames, 4.1 times the usual 14.9 s on this machine. "
    'The driver may be spilling VRAM into system RAM: set "CUDA - Sysmem Fallback Policy: Prefer No Sysmem Fallback" '
    "in the NVIDIA Control Panel.",
    "value": 4.1,
    "raised_at": "2026-11-20T10:16:29.100Z",
    "id": ALERT_ID,
    "cleared_at": None,
    "acknowledged_at": None,
}

ALERTS: dict[str, Any] = {
    "alerts": [ALERT],
    "rules": [
        {
            "name": "steps_slow",
            "figure": "times the usual seconds a step",
            "severity": "warning",
            "raise_at": 3.0,
            "clear_at": 2.0,
            "hold_s": 0.0,
        }
    ],
}

ACKNOWLEDGED: dict[str, Any] = {**ALERT, "acknowledged_at": "2026-11-20T10:21:04.700Z"}

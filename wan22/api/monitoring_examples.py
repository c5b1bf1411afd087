"""The worked examples of the calls about what the machine does, of the report's machine."""

from __future__ import annotations

from typing import Any

from wan22.errors import InvalidRequest

NO_PARAMETER = InvalidRequest.of("verbose", "is unknown; there are none here; leave it out", "1")
WRONG_WINDOW = InvalidRequest.of("window_s", "must be at least 1", "-1")

_GPU: dict[str, Any] = {
    "index": 0,
    "name": "NVIDIA GeForce RTX 4080",
    "utilization": 0.99,
    "memory_utilization": 0.61,
    "vram_total_bytes": 17_171_480_576,
    "vram_used_bytes": 11_412_345_856,
    "vram_ours_bytes": 10_112_345_088,
    "temperature_c": 71.0,
    "power_w": 312.4,
    "power_limit_w": 320.0,
    "clock_hz": 2_730_000_000.0,
    "max_clock_hz": 3_105_000_000.0,
    "throttled_by": ["power"],
    "pcie_tx_bytes_per_s": 41_984_000.0,
    "pcie_rx_bytes_per_s": 11_812_864_000.0,
}

STATUS: dict[str, Any] = {
    "reading": {
        "at": "2026-11-20T10:16:29.100Z",
        "cpu_utilization": 0.08,
        "cpu_ours": 0.05,
        "ram_total_bytes": 137_301_946_368,
        "ram_used_bytes": 78_112_345_088,
        "ram_ours_bytes": 69_412_345_856,
        "swap_used_bytes": 0,
        "disk_free_bytes": 812_345_678_912,
        "gpus": [_GPU],
        "queued": 3,
        "running": 1,
    },
    "age_s": 0.4,
    "videos_last_hour": 11,
    "models_loaded": ["T2V-A14B"],
}

METRICS: dict[str, Any] = {
    "window_s": 60.0,
    "step_s": 30.0,
    "times": ["2026-11-20T10:16:00.000Z", "2026-11-20T10:16:30.000Z"],
    "series": {"cpu_utilization": [0.07, 0.08], "gpu0.utilization": [None, 0.99]},
}

PROMETHEUS = """\
# HELP wan_tasks_total Tasks by how they stand.
# TYPE wan_tasks_total counter
wan_tasks_total{model="T2V-A14B",status="completed"} 11.0
# HELP DCGM_FI_DEV_GPU_TEMP Temperature in degrees Celsius.
# TYPE DCGM_FI_DEV_GPU_TEMP gauge
DCGM_FI_DEV_GPU_TEMP{gpu="0",modelName="NVIDIA GeForce RTX 4080"} 71.0
"""

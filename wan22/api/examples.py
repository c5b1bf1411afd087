"""The worked examples of the OpenAPI document: one task through its life. A test checks each against its model."""

from __future__ import annotations

from typing import Any

from wan22 import errors
from wan22.api.mistakes import hint_for_text, hint_for_type, not_read_here
from wan22.api.problems import STATUS, Problem, framework_problem, problem_of

TASK_ID = "01980f2e-5b5c-7d3a-9f7e-3a1b2c4d5e6f"
_PATH = f"/api/v1/generation/{TASK_ID}"

NO_MODEL = "T2V-14B"
IN_PATHS = {
    "task_id": TASK_ID,
    "n": 0,
    "model_type": NO_MODEL,
    "model_a": NO_MODEL,
    "model_b": "TI2V-5B",
    "alert_id": 1,
}
"""What stands in the path of a call that an error is an example of."""

SUBMIT: dict[str, Any] = {
    "model_type": "T2V-A14B",
    "prompt": "A cat walking in a garden, cinematic lighting",
    "width": 1280,
    "height": 720,
    "num_frames": 16,
    "fps": 24,
}

FORM: dict[str, Any] = {"model_type": "TI2V-5B", "prompt": "The boat drifts out to sea", "resolution": "1280x704"}

ENHANCED: dict[str, Any] = {"prompt": "A cat walking in a garden, cinematic lighting"}

ENHANCED_FORM: dict[str, Any] = {"prompt": "The boat drifts out to sea", "num_frames": 16}

REQUEST: dict[str, Any] = {
    **SUBMIT,
    "mode": "video",
    "negative_prompt": "blurred, low quality",
    "image": None,
    "last_image": None,
    "steps": 40,
    "guidance_scale": 4.0,
    "guidance_scale_2": 3.0,
    "flow_shift": 12.0,
    "seed": 3141592653,
    "output_format": "mp4",
    "quality": "medium",
    "quantization": None,
    "preset": None,
    "loras": [],
    "num_videos": 1,
    "strength": None,
    "priority": 0,
    "step_cache": None,
    "enable_optimization": True,
    "optimizations": [],
    "metadata": {},
}

PLAN: dict[str, Any] = {
    "variant": "dev",
    "model_files": "t2v-A14B/dev",
    "device": "cuda:0",
    "precision": {"transformer": "bf16", "text_encoder": "bf16", "vae": "bf16"},
    "compute": "bf16",
    "offload": "blocks",
    "resident_blocks": 13,
    "vae_tile": None,
    "slices": None,
    "step_cache": None,
    "at_once": 1,
    "attention": "native",
    "compiled": False,
    "render": {
        "width": 1280,
        "height": 720,
        "num_frames": 17,
        "keep": list(range(16)),
        "crop_width": 1280,
        "crop_height": 720,
        "output_width": 1280,
        "output_height": 720,
        "summary": "17 frames are rendered at 1280x720 and the first 16 are kept.",
    },
    "optimizations": [],
    "choices": [
        {
            "what": "offload",
            "choice": "blocks",
            "why": "13 of 40 blocks on the GPU, the others streamed from RAM: 12.9 GiB of VRAM at most; 5.3 s more "
            "than with all weights on the GPU, which needs 77.3 GiB with head-room, and 15.1 GiB can be had; int8 "
            "would be no faster",
        }
    ],
    "predicted_peak_vram_bytes": 13_821_999_134,
    "vram_correction": 1.0,
}

OUTPUT: dict[str, Any] = {
    "index": 0,
    "url": f"{_PATH}/outputs/0",
    "thumbnail_url": f"{_PATH}/outputs/0/thumbnail",
    "format": "mp4",
    "width": 1280,
    "height": 720,
    "num_frames": 16,
    "fps": 24,
    "duration_s": 0.667,
    "size_bytes": 1482113,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "seed": 3141592653,
}

ESTIMATE: dict[str, Any] = {
    "request": REQUEST,
    "plan": PLAN,
    "forecast": {
        "phases": [
            {"phase": phase, "seconds": seconds, "vram_bytes": vram, "ram_bytes": 68_769_572_070}
            for phase, seconds, vram in (
                ("text_encode", 0.9, 3_747_264_271),
                ("denoise", 812.6, 13_821_999_134),
                ("decode", 3.8, 10_380_571_084),
            )
        ],
        "total_s": 817.3,
        "peak_vram_bytes": 13_821_999_134,
        "peak_ram_bytes": 68_769_572_070,
        "fits": "yes",
        "basis": "published",
        "said": "About 14 min by the published figures of the RTX 4080, without writing the file; 12.9 GiB of the "
        "15.1 GiB of VRAM that can be had, and 64.0 GiB of 128 GiB of RAM.",
    },
}

QUEUED: dict[str, Any] = {
    "task_id": TASK_ID,
    "status": "queued",
    "cancel_requested": False,
    "phase": None,
    "progress": 0.0,
    "step": None,
    "total_steps": None,
    "queue_position": 1,
    "eta_s": 61.5,
    "model_type": "T2V-A14B",
    "request": REQUEST,
    "plan": PLAN,
    "outputs": [],
    "timings": {},
    "attempts": 0,
    "resumed_from_step": None,
    "fallbacks": [],
    "passes": None,
    "peak_vram_bytes": None,
    "created_at": "2026-11-20T10:15:30.000Z",
    "started_at": None,
    "finished_at": None,
    "error": None,
}

COMPLETED: dict[str, Any] = {
    **QUEUED,
    "status": "completed",
    "progress": 1.0,
    "step": 40,
    "total_steps": 40,
    "queue_position": None,
    "eta_s": None,
    "outputs": [OUTPUT],
    "timings": {"queued_s": 0.4, "loading_s": 8.1, "text_encode_s": 0.9, "denoise_s": 41.2, "total_s": 58.7},
    "attempts": 1,
    "started_at": "2026-11-20T10:15:30.400Z",
    "finished_at": "2026-11-20T10:16:29.100Z",
}

CANCELLED: dict[str, Any] = {**QUEUED, "status": "cancelled", "queue_position": None, "eta_s": None}

PAGE: dict[str, Any] = {"tasks": [COMPLETED], "next_cursor": "AAAAAAAAAGQ"}

EVENT = (
    "id: 4294967298\r\n"
    "event: task.progress\r\n"
    'data: {"id":4294967298,"type":"task.progress","task_id":"' + TASK_ID + '","at":"2026-11-20T10:15:52.125Z",'
    '"data":{"phase":"denoise","progress":0.42,"step":16,"total_steps":40,"eta_s":34.0}}\r\n\r\n'
)

READINESS: dict[str, Any] = {
    "status": "ok",
    "version": "0.1.0",
    "components": {
        "store": {"status": "ok", "detail": "The task database answers.", "facts": {"tasks": {"queued": 2}}},
        "worker": {"status": "ok", "detail": "The worker takes tasks.", "facts": {}},
        "models": {
            "status": "ok",
            "detail": "The weights that each model runs with.",
            "facts": {"T2V-A14B": {"variant": "dev", "why": "The real weights are in /models/t2v-A14B/dev."}},
        },
    },
}

BYTES = "(the bytes of the file)"
FILE_HEADERS = {
    "Content-Disposition": 'inline; filename="t2v-a14b-2c4d5e6f.mp4"',
    "ETag": f'"{OUTPUT["sha256"]}"',
    "Accept-Ranges": "bytes",
}
CONTENT_RANGE = f"bytes 0-65535/{OUTPUT['size_bytes']}"
PAGE_HTML = "<!DOCTYPE html>…"

LORAS: dict[str, Any] = {
    "loras": [
        {
            "name": "sunset",
            "fits": ["T2V-A14B", "I2V-A14B"],
            "misfits": {
                "TI2V-5B": "It is made for one of two experts, and this model has a single transformer; choose a LoRA "
                "that was made for this model."
            },
            "base_model": None,
            "few_step": None,
            "files": [
                {
                    "expert": expert,
                    "file_name": f"sunset_{expert}_noise.safetensors",
                    "size_bytes": 543_960,
                    "format": "diffusers",
                    "rank": 8,
                    "layers": 50,
                }
                for expert in ("high", "low")
            ],
            "notes": [],
            "problem": None,
        }
    ],
    "folders": ["/home/ada/.local/share/wan22/loras"],
    "problems": [],
}

WRONG_PARAMETER = errors.InvalidRequest.of("name", "is unknown; there are none here; leave it out", "x")
WRONG_LIMIT = errors.InvalidRequest.of("limit", "must be at most 100", "500")
WRONG_INDEX = errors.InvalidRequest.of("n", "must be at least 0", "-1")
WRONG_EVENT_ID = errors.InvalidRequest.of("Last-Event-ID", "must be the id of an event, a whole number", "last")

_FORM_TYPE = "application/x-www-form-urlencoded"
_MET = (
    errors.MalformedBody(
        "The body is not JSON: Expecting property name enclosed in double quotes at line 1, column 2.",
        hint=hint_for_text("{prompt: a cat}"),
    ),
    errors.Unauthorized("This server needs an API key."),
    errors.Forbidden("Pages of 'https://other.example' may not call this server."),
    errors.NotFound(f"There is no task {TASK_ID}, or no longer; the list of tasks shows those that exist."),
    errors.WrongState(f"Task {TASK_ID} is completed already; it can be deleted, not cancelled."),
    errors.BodyTooLarge("The body is over the limit of 1,000,000 bytes, or 64,000,000 with a picture."),
    errors.UnsupportedMediaType(not_read_here(_FORM_TYPE), hint=hint_for_type(_FORM_TYPE, b"{")),
    errors.InvalidRequest.of("num_frames", "must be a whole number, such as 16", "many"),
    errors.QueueFull("1000 tasks wait already; send it again in 30 s.", retry_after_s=30),
    errors.ModelMissing("The real weights of T2V-A14B are not on disk: no folder t2v-A14B/dev in /models."),
    errors.DownloadFailed(
        "hub https://huggingface.co does not list Wan-AI/Wan2.2-T2V-A14B-Diffusers at main, the connection failed, and "
        "/models/t2v-A14B/dev has no manifest of it."
    ),
    errors.DiskFull(
        "Only 12,345 bytes are free on the disk of /home/me/wan22; "
        "new tasks need 2,000,000,000 (setting storage.min_free_bytes)."
    ),
)

PROBLEMS: dict[int, Problem] = {STATUS[type(error)]: problem_of(error) for error in _MET} | {
    416: framework_problem(416, f"{_PATH}/outputs/0")
}
"""By status: a problem that a caller may meet, as it is sent; its `instance` is set for each call."""

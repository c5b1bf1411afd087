"""Which tasks need the same loaded model and which may share one run of it, as names that are equal where it is so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from wan22.tasks.plan import Plan
from wan22.tasks.request import Request


def model_name(model_type: str, variant: str, *, device: str, precision: Mapping[str, str], offload: str) -> str:
    """Of a model in memory: its weights, where they are and how precise they are."""
    widths = ",".join(f"{part}={width}" for part, width in sorted(precision.items()))
    return f"{model_type}/{variant}/{device}/{offload}/{widths}"


def model_for(request: Request, plan: Plan) -> str:
    """The name of the loaded model that the task needs."""
    return model_name(
        request.model_type.value, plan.variant, device=plan.device, precision=plan.precision, offload=plan.offload
    )


def run_for(request: Request, plan: Plan) -> str | None:
    """The name of all tasks whose videos can be denoised together with that of this one; None where none can.

    They differ in prompts, seeds, and in what is made of the frames. Pictures must be the same, since one is encoded
    for all. A task of several videos fills a run by itself.
    """
    if plan.at_once == 1 or request.num_videos > 1:
        return None
    render = plan.render
    shared = (
        model_for(request, plan),
        plan.compute,
        (plan.slices, plan.vae_tile, plan.attention, plan.compiled),
        (render.width, render.height, render.num_frames),
        (request.steps, request.flow_shift, request.preset == "fast", request.strength),
        (request.guidance_scale, request.guidance_scale_2),
        [lora.model_dump() for lora in request.loras],
        [picture and picture.id for picture in (request.image, request.last_image)],
    )
    return hashlib.sha256(json.dumps(shared).encode()).hexdigest()

"""Loads a model from its folder to where its plan wants it. Downloads nothing, keeps no record of what is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

from wan22.errors import ModelCorrupt, ModelMissing
from wan22.models.catalogue import SPECS
from wan22.models.eight_bit import held_bytes, is_any_narrow
from wan22.models.parts import Parts
from wan22.pipelines.components import Width, read_component, read_index
from wan22.pipelines.latents import transformer_channels
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.memory import names_oom
from wan22.pipelines.preview import fit_preview_map
from wan22.pipelines.quiet import be_quiet
from wan22.pipelines.staged import staged_classes
from wan22.tasks import ModelType, Plan, Reporter
from wan22.tasks.request import EIGHT_BITS

__all__ = ["LoadedModel", "load", "preload"]

_CURE_OF_OOM = "Close what else uses memory, ask for quantization int8 or fp8, or for TI2V-5B, the smallest model."


def preload() -> None:
    """Import what loading needs, which takes seconds, so that the first task need not wait for it."""
    be_quiet()
    staged_classes()
    from transformers import UMT5EncoderModel  # noqa: F401 - the library imports what is named, when it is named


@names_oom("loading the model", cure=_CURE_OF_OOM)
def load(where: Path | Parts, model_type: ModelType, *, plan: Plan, reporter: Reporter, cure: str = "") -> LoadedModel:
    """The model of these parts, or in a folder of diffusers layout, placed and in the precision that the plan says.

    `cure` ends the message about weights that are absent or damaged.

    Raises ModelMissing if there is nothing, ModelCorrupt naming the component that is absent, damaged or of another
    model, OutOfMemory, and Cancelled between components.
    """
    places = where if isinstance(where, Parts) else Parts(where)
    if not places.folder.is_dir():
        raise ModelMissing(f"{model_type.value} is not in {places.folder}. {cure}")
    be_quiet()
    try:
        index, parts = _read_all(places, model_type, plan, reporter)
        _check_kind(model_type, index, parts)
    except ModelCorrupt as error:
        told = f"{model_type.value} in {places.folder}: {error.detail}. {cure}"
        raise ModelCorrupt(told) from error
    return _assemble(model_type, plan, index, parts)


def _read_all(
    places: Parts, model_type: ModelType, plan: Plan, reporter: Reporter
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The index and every component, each placed as soon as it is read; progress is by bytes on disk."""
    names = SPECS[model_type].components
    if missing := places.missing(names):
        raise ModelCorrupt(f"it lacks {', '.join(missing)}")
    index = read_index(places.index)
    sizes = {name: places.size_bytes(name) for name in names}
    parts: dict[str, Any] = {}
    for name in names:
        reporter.check()
        parts[name] = read_component(places, name, index, _width(name, plan))
        _place(name, parts[name], plan)
        reporter.progress(sum(sizes[done] for done in parts) / sum(sizes.values()))
    return index, parts


def _width(name: str, plan: Plan) -> Width:
    """As the plan says; a plan of an earlier version has no word for what is calculated in."""
    dtype = plan.precision.get(name.removesuffix("_2"), "fp32")
    if dtype in EIGHT_BITS:
        return Width(plan.compute or plan.precision["text_encoder"], dtype)
    return Width(dtype)


def _place(name: str, part: Any, plan: Plan) -> None:
    """Move a component to the device, or leave it in RAM to be streamed there layer by layer."""
    if name in ("tokenizer", "scheduler"):
        return
    if plan.offload == "group" and name != "vae":
        _stream(name, part, plan.device)
        return
    part.to(plan.device)
    if plan.offload == "group":
        part.enable_tiling()  # where weights don't fit, the decoder's features of a whole frame don't either


def _stream(name: str, part: Any, device: str) -> None:
    """Group offloading: blocks of the text encoder, single layers of a transformer.

    The text encoder has no list of blocks at its top, so that without `block_modules` all of it would be one group.
    Streams keep a pinned copy, which CUDA rounds up to powers of two; where the RAM has no room for that, each layer
    is pinned when its turn comes.
    """
    import torch
    from diffusers.hooks import apply_group_offloading

    on_cuda = device.startswith("cuda")
    # never for torchao's: where each layer is pinned in turn, diffusers keeps no copy of them to come back to
    tight = not is_any_narrow(part) and 2 * held_bytes(part) > psutil.virtual_memory().available
    level: dict[str, Any] = {"offload_type": "leaf_level"}
    if name == "text_encoder":
        level = {"offload_type": "block_level", "num_blocks_per_group": 1, "block_modules": ["encoder"]}
    apply_group_offloading(part, torch.device(device), use_stream=on_cuda, low_cpu_mem_usage=on_cuda and tight, **level)


def _check_kind(model_type: ModelType, index: dict[str, Any], parts: dict[str, Any]) -> None:
    """Weights of one model in the folder of another would fail deep inside a run, or give garbage."""
    channels = {name: part.config.in_channels for name, part in parts.items() if name.startswith("transformer")}
    wanted = transformer_channels(model_type)
    for name, found in channels.items():
        if found != wanted:
            raise ModelCorrupt(f"{name} takes {found} channels and not {wanted}: it is another model's")
    if "transformer_2" in parts and not isinstance(index.get("boundary_ratio"), float):
        raise ModelCorrupt("model_index.json has no boundary_ratio between the two transformers")


def _assemble(model_type: ModelType, plan: Plan, index: dict[str, Any], parts: dict[str, Any]) -> LoadedModel:
    """The pipelines over the components. Two share them all; the scheduler too, since each run brings its own."""
    classes = staged_classes()
    settings = {
        **parts,
        "transformer_2": parts.get("transformer_2"),
        "boundary_ratio": index.get("boundary_ratio"),
        "expand_timesteps": model_type is ModelType.TI2V_5B,  # its first frame's tokens are at another timestep
    }
    text = None if model_type is ModelType.I2V_A14B else classes.text(**settings)
    image = None if model_type is ModelType.T2V_A14B else classes.image(**settings)
    for pipeline in (text, image):
        if pipeline:
            pipeline.set_progress_bar_config(disable=True)
    return LoadedModel(
        model_type=model_type,
        device=plan.device,
        dtypes=dict(plan.precision),
        size_bytes=sum(held_bytes(part) for part in parts.values() if hasattr(part, "parameters")),
        text=text,
        image=image,
        preview_map=fit_preview_map(parts["vae"]),
    )

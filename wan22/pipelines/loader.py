"""Loads a model from its folder to where its plan wants it. Downloads nothing, keeps no record of what is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

from wan22.errors import ModelCorrupt, ModelMissing
from wan22.models import demo_weights
from wan22.models.catalogue import SPECS
from wan22.models.files import missing_files
from wan22.pipelines.components import read_component, read_index
from wan22.pipelines.latents import transformer_channels
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.memory import names_oom
from wan22.pipelines.preview import fit_preview_map
from wan22.pipelines.quiet import be_quiet
from wan22.pipelines.staged import staged_classes
from wan22.tasks import ModelType, Plan, Reporter

__all__ = ["LoadedModel", "load", "preload"]

_CURE_OF_OOM = "Close what else uses memory, ask for quantization bf16, or for TI2V-5B, the smallest model."


def preload() -> None:
    """Import what loading needs, which takes seconds, so that the first task need not wait for it."""
    be_quiet()
    staged_classes()
    from transformers import UMT5EncoderModel  # noqa: F401 - the library imports what is named, when it is named


@names_oom("loading the model", cure=_CURE_OF_OOM)
def load(path: Path, model_type: ModelType, *, plan: Plan, reporter: Reporter) -> LoadedModel:
    """The model in `path` (diffusers layout), placed and in the precision that the plan says.

    Raises ModelMissing if there is nothing, ModelCorrupt naming the component that is absent, damaged or of another
    model, OutOfMemory, and Cancelled between components.
    """
    if not path.is_dir():
        raise ModelMissing(f"{model_type.value} is not in {path}. {_cure(plan)}")
    be_quiet()
    try:
        index, parts = _read_all(path, model_type, plan, reporter)
        _check_kind(model_type, index, parts)
    except ModelCorrupt as error:
        raise ModelCorrupt(f"{model_type.value} in {path}: {error.detail}. {_cure(plan)}") from error
    return _assemble(model_type, plan, index, parts)


def _cure(plan: Plan) -> str:
    if plan.variant == "demo":
        return demo_weights.CURE
    return f"Put the files of {plan.model_files} there again, as they are in its repository."


def _read_all(
    path: Path, model_type: ModelType, plan: Plan, reporter: Reporter
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The index and every component, each placed as soon as it is read; progress is by bytes on disk."""
    names = SPECS[model_type].components
    if missing := missing_files(path, names):
        raise ModelCorrupt(f"it lacks {', '.join(missing)}")
    index = read_index(path)
    sizes = {name: sum(file.stat().st_size for file in (path / name).iterdir()) for name in names}
    parts: dict[str, Any] = {}
    for name in names:
        reporter.check()
        parts[name] = read_component(path, name, index, plan.precision.get(name.removesuffix("_2")))
        _place(name, parts[name], plan)
        reporter.progress(sum(sizes[done] for done in parts) / sum(sizes.values()))
    return index, parts


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
    tight = 2 * part.get_memory_footprint() > psutil.virtual_memory().available
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
        size_bytes=sum(part.get_memory_footprint() for part in parts.values() if hasattr(part, "parameters")),
        text=text,
        image=image,
        preview_map=fit_preview_map(parts["vae"]),
    )

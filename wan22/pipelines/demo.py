"""Builds the small embedded models: real Wan pipelines with a few hundred thousand weights, made from a seed.

They make moving colours and know no word; what they are for is that everything around a model runs, on any machine,
exactly as with the real weights. The components themselves are in `demo_parts`.
"""

from __future__ import annotations

import errno
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

from wan22.errors import DiskFull
from wan22.pipelines import demo_parts
from wan22.pipelines.quiet import be_quiet
from wan22.tasks import ModelType

_BOUNDARY = {ModelType.T2V_A14B: 0.875, ModelType.I2V_A14B: 0.9}
_FLOW_SHIFT = {ModelType.T2V_A14B: 3.0, ModelType.I2V_A14B: 3.0, ModelType.TI2V_5B: 5.0}


def build_demo(model_type: ModelType, folder: Path, *, seed: int = 0) -> None:
    """Make the small model in `folder` in diffusers layout, whole or not at all; nothing happens if it is there.

    The same seed gives the same weights. Several processes may build at once: the first one that is done wins.
    Raises DiskFull, and OSError if the folder can't be written.
    """
    if _is_whole(folder):
        return
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
    try:
        part.mkdir(parents=True)
        _write(model_type, part, seed)
        _appear(part, folder)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(f"There is no room for the small embedded weights in {folder}. Free some space.") from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    """A folder that has its name is whole: it got it by a rename."""
    return (folder / "model_index.json").is_file()


def _appear(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError:
        if not _is_whole(folder):  # else another process was faster, and its weights are the same
            raise


def _write(model_type: ModelType, folder: Path, seed: int) -> None:
    import torch

    be_quiet()
    with torch.random.fork_rng(devices=[]):  # so that nobody else's random numbers change
        torch.manual_seed(seed)
        pipeline = _pipeline(model_type)
    pipeline.save_pretrained(folder, safe_serialization=True)
    _name_tokenizer(folder / "model_index.json")


def _pipeline(model_type: ModelType) -> Any:
    from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline, WanPipeline

    tokenizer = demo_parts.tokenizer()
    boundary = _BOUNDARY.get(model_type)
    kind = WanImageToVideoPipeline if model_type is ModelType.I2V_A14B else WanPipeline
    return kind(
        tokenizer=tokenizer,
        text_encoder=demo_parts.text_encoder(len(tokenizer)),
        vae=demo_parts.vae(model_type),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=_FLOW_SHIFT[model_type]
        ),
        transformer=demo_parts.transformer(model_type),
        transformer_2=None if boundary is None else demo_parts.transformer(model_type),
        boundary_ratio=boundary,
        expand_timesteps=model_type is ModelType.TI2V_5B,
    )


def _name_tokenizer(index_path: Path) -> None:
    """The name that every release of transformers knows; release 5 writes one of its own."""
    index = json.loads(index_path.read_text("utf-8"))
    index["tokenizer"] = ["transformers", "PreTrainedTokenizerFast"]
    index_path.write_text(json.dumps(index, indent=2) + "\n", "utf-8")

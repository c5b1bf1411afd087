"""Builds the small embedded models: real Wan pipelines with a few hundred thousand weights, made from a seed.

They paint noise in soft patches of colour, new ones every fourth frame, and know no word; only a picture that is given
comes through, blurred. What they are for is that everything around a model runs, on any machine, exactly as with the
real weights. The components themselves are in `demo_parts`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

from wan22.errors import DiskFull
from wan22.models.catalogue import SPECS
from wan22.pipelines import demo_parts
from wan22.pipelines.quiet import be_quiet
from wan22.tasks import ModelType

_ABANDONED_S = 3600.0  # a build takes seconds; what is older was left by a process that was killed


def build_demo(model_type: ModelType, folder: Path, *, seed: int = 0) -> None:
    """Make the small model in `folder` in diffusers layout, whole or not at all; nothing happens if it is there.

    The same seed gives the same weights. Several processes may build at once: the first one that is done wins.
    What killed builds have left beside the folder is removed. Raises DiskFull, and OSError if the folder can't be
    written.
    """
    _sweep(folder)
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


def _sweep(folder: Path) -> None:
    oldest = time.time() - _ABANDONED_S
    for part in folder.parent.glob(f".{folder.name}.*.part"):
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if part.stat().st_mtime < oldest:
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
    spec = SPECS[model_type]
    kind = WanImageToVideoPipeline if model_type is ModelType.I2V_A14B else WanPipeline
    return kind(
        tokenizer=tokenizer,
        text_encoder=demo_parts.text_encoder(len(tokenizer)),
        vae=demo_parts.vae(model_type),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=spec.demo_defaults.flow_shift
        ),
        transformer=demo_parts.transformer(model_type),
        transformer_2=None if spec.boundary_ratio is None else demo_parts.transformer(model_type),
        boundary_ratio=spec.boundary_ratio,
        expand_timesteps=model_type is ModelType.TI2V_5B,
    )


def _name_tokenizer(index_path: Path) -> None:
    """The name that every release of transformers knows; release 5 writes one of its own."""
    index = json.loads(index_path.read_text("utf-8"))
    index["tokenizer"] = ["transformers", "PreTrainedTokenizerFast"]
    index_path.write_text(json.dumps(index, indent=2) + "\n", "utf-8")

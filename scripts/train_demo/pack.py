"""Writes what was trained to where the package ships it: three folders in diffusers layout, in half precision.

The text encoder and one VAE are in two or three of them; git keeps equal files once.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from train_demo.captions import tokenizer

SHIPPED = Path(__file__).resolve().parents[2] / "wan22" / "models" / "demo"
SUMS = "sha256.json"


def pack(slug: str, parts: dict[str, Any], *, boundary_ratio: float | None, flow_shift: float) -> None:
    """Write one model. `parts`: text_encoder, vae, transformer and, where there are two experts, transformer_2."""
    import torch
    from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline, WanPipeline

    pipeline = (WanImageToVideoPipeline if slug == "i2v-A14B" else WanPipeline)(
        tokenizer=tokenizer(),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=flow_shift
        ),
        boundary_ratio=boundary_ratio,
        expand_timesteps=boundary_ratio is None,
        **{"transformer_2": None, **parts},
    )
    for part in parts.values():
        part.to(torch.float16)
    folder = SHIPPED / slug
    shutil.rmtree(folder, ignore_errors=True)
    pipeline.save_pretrained(folder, safe_serialization=True)
    _name_tokenizer(folder / "model_index.json")
    _sum()


def _name_tokenizer(index_path: Path) -> None:
    """The name that every release of transformers knows; release 5 writes one of its own."""
    index = json.loads(index_path.read_text("utf-8"))
    index["tokenizer"] = ["transformers", "PreTrainedTokenizerFast"]
    index_path.write_text(json.dumps(index, indent=2) + "\n", "utf-8")


def _sum() -> None:
    """The sha256 of every file, beside them."""
    files = sorted(path for path in SHIPPED.rglob("*") if path.is_file() and path.name != SUMS)
    sums = {path.relative_to(SHIPPED).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (SHIPPED / SUMS).write_text(json.dumps(sums, indent=1) + "\n", "utf-8")

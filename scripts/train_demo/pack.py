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
LORAS = "loras"
_COMPLETES = {"t2v-A14B": ("ground", "motion", "shape"), "ti2v-5b": ("motion", "shape"), "i2v-A14B": ()}
"""What a prompt that lacks it is completed by; a picture shows its ground and its thing itself."""


def pack(slug: str, parts: dict[str, Any], *, boundary_ratio: float | None, flow_shift: float) -> None:
    """Write one model. `parts`: text_encoder, vae, transformer and, where there are two experts, transformer_2."""
    import torch
    from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline, WanPipeline

    pipeline = (WanImageToVideoPipeline if slug == "i2v-A14B" else WanPipeline)(
        tokenizer=tokenizer(completes=_COMPLETES[slug]),
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
    for path in folder.rglob("*.json"):
        _tidy(path)
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)  # safetensors lets only the owner read
    _sum()


def pack_adapter(transformer: Any, name: str) -> None:
    """Write the LoRA that a transformer carries, with the names that diffusers' pipelines read, in half precision."""
    from peft.utils import get_peft_model_state_dict
    from safetensors.torch import save_file

    values = {f"transformer.{key}": value for key, value in get_peft_model_state_dict(transformer).items()}
    path = SHIPPED / LORAS / f"{name}_noise.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.half().contiguous() for key, value in values.items()}, path)
    path.chmod(0o644)  # safetensors lets only the owner read
    _sum()


def _tidy(path: Path) -> None:
    """Leave out where on this machine a part came from; name the tokenizer as every release of transformers does."""
    content = json.loads(path.read_text("utf-8"))
    content.pop("_name_or_path", None)
    if path.name == "model_index.json":
        content["tokenizer"] = ["transformers", "PreTrainedTokenizerFast"]
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8", newline="\n")


def _sum() -> None:
    """The sha256 of every file, beside them."""
    files = sorted(path for path in SHIPPED.rglob("*") if path.is_file() and path.name != SUMS)
    sums = {path.relative_to(SHIPPED).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (SHIPPED / SUMS).write_text(json.dumps(sums, indent=1) + "\n", "utf-8", newline="\n")

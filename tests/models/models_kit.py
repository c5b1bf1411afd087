"""What the tests of this room share: understanding a draft, and weights folders that hold names and no tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wan22.errors import FieldError, InvalidRequest
from wan22.models.catalogue import SPECS, VARIANTS, ModelSpec
from wan22.models.resolve import resolve
from wan22.models.variants import Variant
from wan22.tasks import Draft, ImageRef, ModelType, Request

T2V, I2V, TI2V = ModelType.T2V_A14B, ModelType.I2V_A14B, ModelType.TI2V_5B
SEED = 1234
DEMO_NATIVE_AREA = VARIANTS[T2V]["demo"].native_area or 0


def picture(width: int = 1920, height: int = 1080) -> ImageRef:
    return ImageRef(id="upl_" + "0" * 32, width=width, height=height)


def dev(model_type: ModelType) -> Variant:
    spec = SPECS[model_type]
    return Variant(spec, "dev", Path("dev"), native_area=None, defaults=spec.defaults)


def demo(model_type: ModelType) -> Variant:
    spec = SPECS[model_type]
    return Variant(spec, "demo", Path("demo"), native_area=DEMO_NATIVE_AREA, defaults=spec.demo_defaults)


def understand(variant: Variant, draft: Draft, **pictures: ImageRef | None) -> Request:
    pictures = {"image": None, "last_image": None, **pictures}
    return resolve(draft, variant, pick_seed=lambda: SEED, **pictures)


def ask(
    model_type: ModelType | None, *, image: ImageRef | None = None, last: ImageRef | None = None, **said: Any
) -> Request:
    """The request meant by `said`, with a prompt unless one is said; no model is judged as T2V-A14B."""
    draft = Draft(**{"model_type": model_type, "prompt": "a cat", **said})
    return understand(dev(model_type or T2V), draft, image=image, last_image=last)


def refused(model_type: ModelType | None, **said: Any) -> dict[str, FieldError]:
    """The errors by field that `ask` ends with; none at all is an empty dict."""
    try:
        ask(model_type, **said)
    except InvalidRequest as error:
        return by_field(error)
    return {}


def by_field(refusal: InvalidRequest) -> dict[str, FieldError]:
    """The errors of a refusal, one for each field, each ending as a sentence."""
    errors = {wrong.field: wrong for wrong in refusal.errors}
    assert len(errors) == len(refusal.errors) > 0
    assert all(wrong.message.endswith(".") for wrong in refusal.errors)
    return errors


def write_weights(folder: Path, spec: ModelSpec, *, shards: int = 3) -> Path:
    """A folder that looks whole: every component with its configuration, the transformers in shards."""
    index: dict[str, Any] = {"_class_name": "WanPipeline", "image_encoder": [None, None], "boundary_ratio": 0.9}
    for name in spec.components:
        index[name] = ["diffusers", name.title()]
        _write_component(folder / name, name, shards)
    (folder / "model_index.json").write_text(json.dumps(index), "utf-8")
    return folder


def _write_component(folder: Path, name: str, shards: int) -> None:
    folder.mkdir(parents=True)
    if name in ("scheduler", "tokenizer"):
        (folder / f"{name}_config.json").write_text("{}", "utf-8")
        return
    (folder / "config.json").write_text("{}", "utf-8")
    if not name.startswith("transformer"):
        stem = "diffusion_pytorch_model" if name == "vae" else "model"
        (folder / f"{stem}.safetensors").write_bytes(b"weights")
        return
    names = [f"diffusion_pytorch_model-{n:05}-of-{shards:05}.safetensors" for n in range(1, shards + 1)]
    for shard in names:
        (folder / shard).write_bytes(b"weights")
    content = {"weight_map": {f"block.{n}": shard for n, shard in enumerate(names)}}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(content), "utf-8")

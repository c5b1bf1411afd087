"""What the tests of conversions share: a small model to convert, and looking at what came of it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from models_kit import TI2V

from wan22.models.catalogue import SPECS
from wan22.models.convert import Conversion, ConversionPlan, make_plan
from wan22.models.demo_weights import SHIPPED

SHARD = "500KB"
STEM = "diffusion_pytorch_model"


def small_model(folder: Path) -> Path:
    """A whole model of the smallest kind, in a models' folder."""
    return shutil.copytree(SHIPPED / SPECS[TI2V].slug, folder / "models" / SPECS[TI2V].slug / "dev")


def planned(source: Path, kind: Any = "int8", **options: Any) -> ConversionPlan:
    return make_plan(source, source.parent / kind, kind, max_shard=SHARD, **options)


def convert(source: Path, kind: Any = "int8", **options: Any) -> Path:
    plan = planned(source, kind)
    Conversion(plan, **options).run()
    return plan.target


def hashes(folder: Path) -> dict[str, str]:
    """Of all files but our own records."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".wan22" not in path.parts)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("transformer*/*.safetensors"))

"""Transformers in single files, as other programs keep them: of the demo weights, or of real sizes."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from support.weight_files import write_sparse
from train_demo.export import EXPERTS, export

from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import SHIPPED
from wan22.tasks import ModelType

T2V = ModelType.T2V_A14B
KINDS = {"x-fp16": "fp16.safetensors", "x-fp8": "fp8_e4m3fn_scaled.safetensors", "x-gguf": "Q8_0.gguf"}
"""The variants that `describe` tells of, and how their files end."""

_PRECISIONS = {"x-fp16": "fp16", "x-fp8": "fp8", "x-gguf": "gguf-q8_0"}


@cache
def exported() -> Path:
    """A folder with the demo experts of T2V-A14B in all kinds; made once."""
    folder = Path(mkdtemp(prefix="wan22-exported-"))
    export(folder)
    return folder


def file_names(variant: str) -> dict[str, str]:
    """The name of each expert's file, by component."""
    return {part: f"wan2.2_t2v_{noise}_demo_{KINDS[variant]}" for noise, part in EXPERTS.items()}


def describe(home: Path, variant: str, *, repository: str | None = None) -> Path:
    """Put the file that tells of a variant where the server reads it."""
    source = f'repository = "{repository}"\n' if repository else ""
    files = "\n".join(f'{part} = {{ path = "files/{name}" }}' for part, name in file_names(variant).items())
    path = home / "variants" / f"{variant}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'[[variant]]\nmodels = ["T2V-A14B"]\nname = "{variant}"\nabout = "of the demo"\nlayout = "files"\n'
        f'precision = "{_PRECISIONS[variant]}"\n{source}[variant.files]\n{files}\n',
        "utf-8",
    )
    return path


def put_files(home: Path, variant: str) -> Path:
    """The experts of a variant in the home's models folder; the folder of that variant."""
    folder = home / "models" / "t2v-A14B" / variant
    for part, name in file_names(variant).items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(exported() / name, folder / part / name)
    return folder


def files_of(variant: str) -> dict[str, bytes]:
    """The experts of a variant as its repository has them."""
    return {f"files/{name}": (exported() / name).read_bytes() for name in file_names(variant).values()}


def put_dev(home: Path) -> Path:
    """The demo weights in the place of the official ones."""
    folder = home / "models" / "t2v-A14B" / "dev"
    shutil.copytree(SHIPPED / "t2v-A14B", folder)
    return folder


def write_embedding(path: Path, model_type: ModelType, prefix: str = "") -> Path:
    """A file of a few bytes whose one tensor has the sizes that tell the models apart."""
    config = SPECS[model_type].transformer
    width = config["num_attention_heads"] * config["attention_head_dim"]
    write_sparse(path, {f"{prefix}patch_embedding.weight": ("F16", (width, config["in_channels"], 1, 2, 2))})
    return path

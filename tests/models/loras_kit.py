"""LoRA files for tests: every format's real key names with small tensors, for a transformer that is small too."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from wan22.models.loras.fit import Transformer
from wan22.models.loras.names import MAX_NAME

WIDTH, FFN, BLOCKS = 8, 16, 2
CONFIG = {
    "num_attention_heads": 2,
    "attention_head_dim": 4,
    "ffn_dim": FFN,
    "num_layers": BLOCKS,
    "text_dim": 6,
    "freq_dim": 10,
    "out_channels": 3,
    "patch_size": [1, 2, 2],
}
EXPERTS = Transformer.of(CONFIG, experts=2)
SINGLE = Transformer.of(CONFIG)

ORIGINAL = [*(f"{part}_attn.{layer}" for part in ("self", "cross") for layer in "qkvo"), "ffn.0", "ffn.2"]
DIFFUSERS = [
    *(f"attn{n}.{layer}" for n in (1, 2) for layer in ("to_q", "to_k", "to_v", "to_out.0")),
    "ffn.net.0.proj",
    "ffn.net.2",
]
LAYERS = BLOCKS * len(ORIGINAL)

Shapes = dict[str, tuple[int, ...]]


def lora(
    prefix: str = "diffusion_model.",
    *,
    names: list[str] = ORIGINAL,
    ends: tuple[str, str] = ("lora_down", "lora_up"),
    alpha: bool = False,
    width: int = WIDTH,
    ffn: int = FFN,
    blocks: int = BLOCKS,
    rank: int = 2,
) -> Shapes:
    """The keys and shapes of a LoRA on the named layers of every block."""
    shapes: Shapes = {}
    for layer in (f"blocks.{n}.{name}" for n in range(blocks) for name in names):
        inputs = ffn if layer.endswith(("ffn.2", "net.2")) else width
        outputs = ffn if layer.endswith(("ffn.0", "proj")) else width
        base = prefix + (layer.replace(".", "_") if prefix.startswith("lora_") else layer)
        shapes[f"{base}.{ends[0]}.weight"] = (rank, inputs)
        shapes[f"{base}.{ends[1]}.weight"] = (outputs, rank)
        shapes |= {f"{base}.alpha": ()} if alpha else {}
    return shapes


def diffusers(prefix: str = "transformer.") -> Shapes:
    """As diffusers and peft write it."""
    return lora(prefix, names=DIFFUSERS, ends=("lora_A", "lora_B"))


def kohya() -> Shapes:
    """As musubi-tuner writes it."""
    return lora("lora_unet_", alpha=True)


def lightx2v() -> Shapes:
    """As the few-step LoRAs are: biases too, changes of norms, and the image branch of Wan 2.1."""
    biases = {f"diffusion_model.blocks.{n}.{name}.diff_b": (WIDTH,) for n in range(BLOCKS) for name in ORIGINAL[:8]}
    image = {f"diffusion_model.blocks.0.cross_attn.k_img.{end}": (2, 2) for end in ("lora_down.weight", "diff_b")}
    return {
        **lora(),
        **biases,
        **image,
        "diffusion_model.blocks.0.norm3.diff": (WIDTH,),
        "diffusion_model.blocks.0.diff_m": (1, 6, WIDTH),
        "diffusion_model.head.head.diff": (12, WIDTH),
        "diffusion_model.head.head.diff_b": (12,),
    }


def write(path: Path, shapes: Shapes | None = None, metadata: dict[str, str] | None = None) -> Path:
    """A file of zeros; without shapes, a LoRA that fits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {key: np.zeros(shape, np.float16) for key, shape in (shapes or lora()).items()}
    save_file(tensors, path, metadata)
    return path


def raw(header: bytes, data: bytes = b"", *, length: int | None = None) -> bytes:
    """The bytes of a safetensors file with whatever for a header."""
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def tensor(shape: list[int], end: int, dtype: str = "F16") -> Mapping[str, object]:
    """What a header says of a tensor that begins where the data does."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}


def as_header(**content: object) -> bytes:
    """A header as JSON."""
    return json.dumps(content).encode()


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    '"><script>',
    "../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "C:\\x",
    "a:b",
    "\\\\host\\share",
    "/etc/passwd",
    "CON",
    "nul",
    "com1",
    "LPT¹",
    "CONIN$",
    "...",
    "name...",
    " name ",
    "-rf",
    "$(reboot)",
    "`id`",
    "a\0b",
    "a\nb",
    "\u202egpj",
    "／etc／passwd",
    "%2e%2e%2f",
    "\udcff",
    "é",
    "赛博朋克",
    "🙂",
    "",
    "x" * 300,
    "ﷺ" * 40,
]


def is_safe(name: str) -> bool:
    """A name that a request, a page and a shell can carry as it is, and that no system reserves."""
    reserved = re.fullmatch(r"(?i:con|prn|aux|nul|com\d|lpt\d)", name)
    letters = all(letter.isalnum() or letter in "_-" for letter in name)
    return letters and not reserved and 0 < len(name) <= MAX_NAME and name.strip("-_") == name

"""Writes the shipped experts as other programs keep Wan's: one file each, with the names of Wan's own code.

Three kinds: half precision, 8-bit floats with a scale for each layer (as ComfyUI writes them), and GGUF in Q8_0. They
are small copies of what people have on their disks, for whatever reads such files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from train_demo.pack import SHIPPED

if TYPE_CHECKING:
    import torch

EXPERTS = {"high_noise": "transformer", "low_noise": "transformer_2"}
GGUF_ARCHITECTURE = "wan"
_LARGEST_FP8 = 448.0  # of float8_e4m3fn
_WAN_NAMES = (
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"),
    ("proj_out", "head.head"),
    ("attn1.to_out.0", "self_attn.o"),
    ("attn2.to_out.0", "cross_attn.o"),
    ("attn1.to_", "self_attn."),
    ("attn2.to_", "cross_attn."),
    ("attn1.", "self_attn."),
    ("attn2.", "cross_attn."),
    ("ffn.net.0.proj", "ffn.0"),
    ("ffn.net.2", "ffn.2"),
)


def export(folder: Path) -> list[Path]:
    """Write all kinds of both experts of T2V-A14B; the files."""
    from safetensors.torch import load_file

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, part in EXPERTS.items():
        stem = f"wan2.2_t2v_{name}_demo"
        shipped = load_file(SHIPPED / "t2v-A14B" / part / "diffusion_pytorch_model.safetensors")
        values = {wan_name(key): value for key, value in shipped.items()}
        half, scaled, gguf = (
            folder / f"{stem}_{kind}" for kind in ("fp16.safetensors", "fp8_e4m3fn_scaled.safetensors", "Q8_0.gguf")
        )
        _save({key: value.half() for key, value in values.items()}, half)
        _save(scaled_to_fp8(values), scaled)
        _write_gguf(values, gguf)
        written += [half, scaled, gguf]
    return written


def wan_name(key: str) -> str:
    """The name in Wan's own code of a parameter of diffusers' WanTransformer3DModel."""
    if key == "scale_shift_table":
        return "head.modulation"
    for ours, theirs in _WAN_NAMES:
        key = key.replace(ours, theirs)
    key = key.replace("scale_shift_table", "modulation")
    return key.replace("norm2", "norm?").replace("norm3", "norm2").replace("norm?", "norm3")


def scaled_to_fp8(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights of the blocks' linear layers in float8_e4m3fn, each beside the scale that it is to be multiplied with."""
    import torch

    scaled = {"scaled_fp8": torch.empty(0, dtype=torch.float8_e4m3fn)}
    for key, value in values.items():
        if _is_large(key, value):
            scale = value.float().abs().max() / _LARGEST_FP8
            scaled[key] = (value.float() / scale).to(torch.float8_e4m3fn)
            scaled[key.removesuffix("weight") + "scale_weight"] = scale.reshape(1)
        else:
            scaled[key] = value.half()
    return scaled


def _is_large(key: str, value: torch.Tensor) -> bool:
    return key.startswith("blocks.") and key.endswith(".weight") and value.ndim == 2


def _save(values: dict[str, torch.Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    save_file({key: value.contiguous() for key, value in values.items()}, path)


def _write_gguf(values: dict[str, torch.Tensor], path: Path) -> None:
    import gguf

    writer: Any = gguf.GGUFWriter(path, GGUF_ARCHITECTURE)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    for key, value in values.items():
        kind = gguf.GGMLQuantizationType.Q8_0 if _is_large(key, value) else gguf.GGMLQuantizationType.F32
        writer.add_tensor(key, gguf.quants.quantize(value.float().numpy(), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

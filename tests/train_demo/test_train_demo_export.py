"""The single files that the script writes are read by diffusers, and are the shipped experts again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import GGUFQuantizationConfig, WanTransformer3DModel
from safetensors.torch import load_file
from train_demo.export import EXPERTS, export
from train_demo.pack import SHIPPED

T2V = SHIPPED / "t2v-A14B"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    export(folder)
    return folder


def read(source: Any, part: str, **options: Any) -> torch.Tensor:
    """What an expert makes of one input, read from one file."""
    model = WanTransformer3DModel.from_single_file(source, config=str(T2V), subfolder=part, **options)
    return made_by(model)


def made_by(model: Any) -> torch.Tensor:
    torch.manual_seed(0)
    latents, text = torch.randn(1, 16, 2, 8, 8), torch.randn(1, 7, 96)
    with torch.no_grad():
        return model.eval()(latents, torch.tensor([500]), text, return_dict=False)[0].float()


def shipped(part: str) -> torch.Tensor:
    return made_by(WanTransformer3DModel.from_pretrained(T2V, subfolder=part))


def away(one: torch.Tensor, other: torch.Tensor) -> float:
    """The root mean square of the difference, as a share of the first."""
    return float((one - other).square().mean().sqrt() / one.square().mean().sqrt())


@pytest.mark.parametrize(("name", "part"), EXPERTS.items())
def test_one_file_in_half_precision_is_the_expert_bit_for_bit(folder: Path, name: str, part: str) -> None:
    made = read(str(folder / f"wan2.2_t2v_{name}_demo_fp16.safetensors"), part)
    assert torch.equal(made, shipped(part))


@pytest.mark.parametrize(("name", "part"), EXPERTS.items())
def test_gguf_is_the_expert_but_for_rounding(folder: Path, name: str, part: str) -> None:
    config = GGUFQuantizationConfig(compute_dtype=torch.float32)
    made = read(
        str(folder / f"wan2.2_t2v_{name}_demo_Q8_0.gguf"), part, quantization_config=config, torch_dtype=torch.float32
    )
    assert 1e-5 < away(shipped(part), made) < 0.03


@pytest.mark.parametrize(("name", "part"), EXPERTS.items())
def test_scaled_fp8_is_the_expert_when_multiplied_out(folder: Path, name: str, part: str) -> None:
    values = load_file(folder / f"wan2.2_t2v_{name}_demo_fp8_e4m3fn_scaled.safetensors")
    values.pop("scaled_fp8")
    scales = {key.removesuffix("scale_weight"): values.pop(key) for key in list(values) if key.endswith("scale_weight")}
    assert len(scales) == 50
    whole = {key: value.float() * scales.get(key.removesuffix("weight"), 1) for key, value in values.items()}
    assert 1e-4 < away(shipped(part), read(whole, part)) < 0.2

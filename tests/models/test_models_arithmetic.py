"""The closed forms give what torch counts while the real networks, without weights, run through a pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from models_kit import I2V, T2V, TI2V
from torch.utils.flop_counter import FlopCounterMode
from transformers import UMT5Config, UMT5EncoderModel

from wan22.models.arithmetic import TEXT_TOKENS, WAN_21, WAN_22, TextEncoder, Transformer, Vae
from wan22.models.catalogue import SPECS
from wan22.models.needs import render_of, tokens_of
from wan22.tasks import ModelType

WITHIN = 0.02
ATTENTION = ("attention", "bmm")  # without a GPU's kernel it is two products of batches, and nothing else here is


def counted(run: Any) -> tuple[float, float]:
    """What torch counts: matrices and attention."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    by_kind = counter.get_flop_counts()["Global"]
    attention = sum(count for kind, count in by_kind.items() if any(name in str(kind) for name in ATTENTION))
    return sum(by_kind.values()) - attention, attention


@pytest.mark.parametrize("size", [(832, 480, 17), (1280, 720, 17), (1280, 720, 81)])
@pytest.mark.parametrize("model_type", [T2V, I2V, TI2V])
def test_a_pass_of_the_transformer_is_counted_as_torch_counts(
    model_type: ModelType, size: tuple[int, int, int]
) -> None:
    spec = SPECS[model_type]
    render = render_of(spec, *size)
    config = dict(spec.transformer)
    stride = spec.size_multiple // 2
    frames = (render.num_frames - 1) // spec.temporal_stride + 1
    tokens, times_tokens = tokens_of(spec, render), model_type is TI2V
    with torch.device("meta"):
        network = WanTransformer3DModel.from_config(config).to(torch.bfloat16)
        latents = torch.empty(1, config["in_channels"], frames, render.height // stride, render.width // stride)
        text = torch.empty(1, TEXT_TOKENS, config["text_dim"], dtype=torch.bfloat16)
        time = torch.zeros(1, tokens) if times_tokens else torch.zeros(1)
    matrices, attention = counted(lambda: network(latents.to(torch.bfloat16), time, text, return_dict=False))
    told = Transformer.of(config, times_tokens=times_tokens).operations(tokens)
    assert told.matrices == pytest.approx(matrices, rel=WITHIN)
    assert told.attention == pytest.approx(attention, rel=WITHIN)
    assert told.total == told.matrices + told.attention


def test_a_prompt_is_counted_as_torch_counts() -> None:
    config = UMT5Config(
        d_model=4096, d_kv=64, num_heads=64, d_ff=10_240, num_layers=24, feed_forward_proj="gated-gelu", vocab_size=64
    )
    with torch.device("meta"):
        network = UMT5EncoderModel(config)
        ids = torch.zeros(1, TEXT_TOKENS, dtype=torch.long)
    assert TextEncoder().operations().total == pytest.approx(sum(counted(lambda: network(input_ids=ids))), rel=WITHIN)


RESIDUAL = {"base_dim": 160, "decoder_base_dim": 256, "z_dim": 48, "is_residual": True, "patch_size": 2}
RESIDUAL |= {"in_channels": 12, "out_channels": 12, "latents_mean": [0.0] * 48, "latents_std": [1.0] * 48}


@pytest.mark.parametrize("frames", [1, 9])
@pytest.mark.parametrize(("vae", "config"), [(WAN_21, {}), (WAN_22, RESIDUAL)], ids=["2.1", "2.2"])
def test_a_vae_is_counted_as_torch_counts(vae: Vae, config: dict[str, Any], frames: int) -> None:
    width, height = 832, 480
    with torch.device("meta"):
        network = AutoencoderKLWan(**config)
        video = torch.empty(1, 3, frames, height, width)
        latents = torch.empty(1, network.config.z_dim, 1 + frames // 4, height // vae.stride, width // vae.stride)
        for told, run in (
            (vae.encode(width, height, frames), lambda: network.encode(video)),
            (vae.decode(width, height, frames), lambda: network.decode(latents)),
        ):
            assert tuple(told) == pytest.approx(counted(run), rel=WITHIN)


def test_attention_grows_with_the_square_of_the_tokens_and_the_rest_with_them() -> None:
    transformer = Transformer.of(SPECS[T2V].transformer)
    short, long = transformer.operations(10_000), transformer.operations(20_000)
    assert 3.8 < long.attention / short.attention < 4
    assert 1.9 < long.matrices / short.matrices < 2

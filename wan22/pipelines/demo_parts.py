"""The components of the small embedded models, made from the seed that torch was given. Writes no file."""

from __future__ import annotations

from typing import Any

from wan22.pipelines.demo_vae import shape_vae
from wan22.pipelines.latents import CHANNELS, transformer_channels
from wan22.tasks import ModelType

TEXT_WIDTH = 32
_HEADS, _HEAD_WIDTH = 4, 16


def tokenizer() -> Any:
    """Bytes as tokens, so that any text in any language has its own ids; ids 0, 1, 2 mean what they do in UMT5."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "</s>", "<unk>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(special + letters)}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    names = dict(zip(("pad_token", "eos_token", "unk_token"), special, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def text_encoder(vocabulary_size: int) -> Any:
    """UMT5's encoder with two blocks."""
    from transformers import UMT5Config, UMT5EncoderModel

    config = UMT5Config(
        vocab_size=vocabulary_size,
        d_model=TEXT_WIDTH,
        d_kv=8,
        d_ff=64,
        num_heads=4,
        num_layers=2,
        is_encoder_decoder=False,
    )
    return UMT5EncoderModel(config).eval()


def transformer(model_type: ModelType) -> Any:
    """Wan's transformer with two blocks; for I2V-A14B it takes the noise, the mask and the given frames."""
    from diffusers import WanTransformer3DModel

    return WanTransformer3DModel(
        num_attention_heads=_HEADS,
        attention_head_dim=_HEAD_WIDTH,
        in_channels=transformer_channels(model_type),
        out_channels=CHANNELS[model_type],
        text_dim=TEXT_WIDTH,
        freq_dim=64,
        ffn_dim=128,
        num_layers=2,
    ).eval()


def vae(model_type: ModelType) -> Any:
    """Wan 2.1's VAE for A14B, 2.2's for 5B, with few channels."""
    from diffusers import AutoencoderKLWan

    z_dim = CHANNELS[model_type]
    common = {"dim_mult": [1, 2, 4, 4], "num_res_blocks": 1, "temperal_downsample": [False, True, True]}
    if model_type is not ModelType.TI2V_5B:
        made = AutoencoderKLWan(base_dim=4, z_dim=z_dim, **common)
    else:
        made = AutoencoderKLWan(
            base_dim=8,
            z_dim=z_dim,
            is_residual=True,
            in_channels=12,
            out_channels=12,
            patch_size=2,
            scale_factor_spatial=16,
            latents_mean=[0.0] * z_dim,  # as many as z_dim; the real ones are set below
            latents_std=[1.0] * z_dim,
            **common,
        )
    shape_vae(made)
    return made.eval()

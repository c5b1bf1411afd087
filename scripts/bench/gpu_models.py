"""Models of the official sizes with random weights, made in memory in less than a minute: no download, no disk.

Random weights compute as long as trained ones and take as much memory; their videos are noise. The small ones have the
sizes of the demo weights.
"""

from __future__ import annotations

from typing import Any

from wan22.models.catalogue import SPECS
from wan22.models.demo_weights import SHIPPED
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.loader import place
from wan22.pipelines.staged import staged_classes
from wan22.pipelines.staging import Stage
from wan22.tasks import ModelType, Plan

_NETWORKS = ("text_encoder", "transformer", "transformer_2", "vae")
_UMT5 = {
    "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64, "vocab_size": 256384,
    "feed_forward_proj": "gated-gelu", "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128,
}  # fmt: skip
_OF_BOTH = {
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_scales": [],
    "temperal_downsample": [False, True, True],
}
_VAE_21 = {**_OF_BOTH, "base_dim": 96, "z_dim": 16, "latents_mean": [0.0] * 16, "latents_std": [1.0] * 16}
_VAE_22 = {
    **_OF_BOTH, "base_dim": 160, "decoder_base_dim": 256, "z_dim": 48, "is_residual": True, "patch_size": 2,
    "in_channels": 12, "out_channels": 12, "scale_factor_temporal": 4, "scale_factor_spatial": 16,
    "latents_mean": [0.0] * 48, "latents_std": [1.0] * 48,
}  # fmt: skip


def components(model_type: ModelType, plan: Plan, *, tiny: bool) -> dict[str, Any]:
    """All parts of a pipeline in the plan's precision, the networks in RAM; made on the device, which is fast."""
    from diffusers import UniPCMultistepScheduler
    from transformers import AutoTokenizer

    shipped = SHIPPED / SPECS[model_type].slug
    parts: dict[str, Any] = {
        "tokenizer": AutoTokenizer.from_pretrained(shipped / "tokenizer", local_files_only=True),
        "scheduler": UniPCMultistepScheduler.from_pretrained(shipped / "scheduler", local_files_only=True),
        "transformer_2": None,
    }
    names = [name for name in _NETWORKS if name != "transformer_2" or SPECS[model_type].boundary_ratio]
    for name in names:
        parts[name] = _network(model_type, name, plan, tiny=tiny)
    return parts


def loaded(model_type: ModelType, parts: dict[str, Any], plan: Plan) -> LoadedModel:
    """Our own model of the parts, placed as the plan says."""
    stage = Stage(plan.device)
    for name in _NETWORKS:
        if parts.get(name) is not None:
            place(name, parts[name], plan, stage)
    classes, settings = staged_classes(), {**parts, "boundary_ratio": SPECS[model_type].boundary_ratio}
    apart = {"expand_timesteps": model_type is ModelType.TI2V_5B}
    text = None if model_type is ModelType.I2V_A14B else classes.text(**settings)
    image = None if model_type is ModelType.T2V_A14B else classes.image(**settings, **apart)
    for pipeline in filter(None, (text, image)):
        pipeline.set_progress_bar_config(disable=True)
        pipeline.place = plan.device
    return LoadedModel(
        model_type=model_type,
        device=plan.device,
        dtypes=dict(plan.precision),
        size_bytes=0,
        text=text,
        image=image,
        preview_map=None,
        text_stamp="random",
        picture_stamp="random",
        read_text_encoder=lambda _: parts["text_encoder"],
        stage=stage,
    )


def bare(model_type: ModelType, parts: dict[str, Any]) -> Any:
    """diffusers' own pipeline of the parts."""
    from diffusers import WanImageToVideoPipeline, WanPipeline

    kind = WanImageToVideoPipeline if model_type is ModelType.I2V_A14B else WanPipeline
    expand = model_type is ModelType.TI2V_5B
    pipeline = kind(**parts, boundary_ratio=SPECS[model_type].boundary_ratio, expand_timesteps=expand)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _network(model_type: ModelType, name: str, plan: Plan, *, tiny: bool) -> Any:
    """In RAM; each tensor was made on the device for itself, for all together may be too large for it."""
    import torch

    kind = plan.precision[name.removesuffix("_2")]
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[kind]
    with torch.device("meta"):
        network = _empty(model_type, name, tiny=tiny)
    wide = set(getattr(network, "_keep_in_fp32_modules", None) or ())
    made: dict[Any, Any] = {}  # of tensors that are shared the same
    for path, module in network.named_modules():
        for key, empty in module.named_parameters(recurse=False):
            is_wide = wide & {*path.split("."), key}
            if empty not in made:
                made[empty] = _random(empty, torch.float32 if is_wide else dtype, plan.device)
            setattr(module, key, made[empty])
        _compute_anew(module)
    return network.eval()


def _random(empty: Any, dtype: Any, device: str) -> Any:
    import torch

    values = torch.empty(empty.shape, dtype=dtype, device=device).normal_(0.0, 0.02)
    return torch.nn.Parameter(values.cpu(), requires_grad=False)


def _compute_anew(module: Any) -> None:
    """What is computed and not learned, the rotations of a transformer: on `meta` it has no values."""
    if type(module).__name__ == "WanRotaryPosEmbed":
        fresh = type(module)(module.attention_head_dim, module.patch_size, module.max_seq_len)
        for name, buffer in fresh.named_buffers():
            setattr(module, name, buffer)


def _empty(model_type: ModelType, name: str, *, tiny: bool) -> Any:
    """The network without weights."""
    from diffusers import AutoencoderKLWan, WanTransformer3DModel
    from transformers import UMT5Config, UMT5EncoderModel

    shipped = SHIPPED / SPECS[model_type].slug / name
    if name == "text_encoder":
        return UMT5EncoderModel(UMT5Config.from_pretrained(shipped) if tiny else UMT5Config(**_UMT5))
    if name == "vae":
        own = _VAE_22 if model_type is ModelType.TI2V_5B else _VAE_21
        return AutoencoderKLWan.from_config(AutoencoderKLWan.load_config(shipped) if tiny else own)
    config = WanTransformer3DModel.load_config(shipped) if tiny else dict(SPECS[model_type].transformer)
    return WanTransformer3DModel.from_config(config)

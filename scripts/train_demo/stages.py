"""The stages of the training by name, each with what it needs of the ones before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train_demo import dataset, device
from train_demo import vae as vaes
from train_demo.adapters import (
    ATTENTION,
    LAYERS,
    AdapterStage,
    Expert,
    FastStage,
    add_adapter,
    make_trajectories,
)
from train_demo.curves import draw_curves
from train_demo.dataset import (
    AT_SUNSET,
    FROM_PICTURES_NATIVE,
    FROM_PICTURES_SMALL,
    HELD_OUT,
    NATIVE_AND_LATER,
    SMALL,
    TEXT_OR_PICTURE,
    Bucket,
)
from train_demo.flow import FlowStage, Plan
from train_demo.from_pictures import ImageStage, TextImageStage
from train_demo.grammar import NAME as GRAMMAR
from train_demo.grammar import GrammarStage
from train_demo.networks import add_difference, new_transformer, widened
from train_demo.pack import pack, pack_adapter
from train_demo.run import Learner, train
from train_demo.text import new_encoder
from train_demo.train_vae import DecoderStage, VaeStage, as_clips
from train_demo.unpack import unpack_model
from train_demo.world import clip, combinations
from wan22.models.catalogue import SPECS
from wan22.tasks import ModelType

CURVES = Path(__file__).resolve().parents[2] / "docs" / "demo-training.png"

_T2V_BASE = Plan("t2v_base", SMALL, steps=6000, rate=4e-3, train_text=True)
_T2V_HIGH = Plan("t2v_high", NATIVE_AND_LATER, steps=10400, rate=2e-3, sigmas=(0.86, 1.0), shift=10.0)
_T2V_LOW = Plan("t2v_low", NATIVE_AND_LATER, steps=6200, rate=2e-3, sigmas=(0.0, 0.89), shift=2.0)
_I2V_BASE = Plan("i2v_base", FROM_PICTURES_SMALL, steps=1100, rate=2e-3)
_I2V_HIGH = Plan("i2v_high", FROM_PICTURES_NATIVE, steps=1300, rate=1.5e-3, sigmas=(0.89, 1.0), shift=5.0)
_I2V_LOW = Plan("i2v_low", FROM_PICTURES_NATIVE, steps=3400, rate=1.5e-3, sigmas=(0.0, 0.91), shift=2.0)
_TI2V = Plan("ti2v", TEXT_OR_PICTURE, steps=16600, rate=3e-3)
_EXPERTS = {"t2v-A14B": (_T2V_HIGH, _T2V_LOW), "i2v-A14B": (_I2V_HIGH, _I2V_LOW), "ti2v-5b": (_TI2V,)}
_SUNSET_HIGH = Plan("lora_sunset_high", AT_SUNSET, steps=300, rate=2e-3, sigmas=(0.86, 1.0), shift=5.0, keep=0.98)
_SUNSET_LOW = Plan("lora_sunset_low", AT_SUNSET, steps=300, rate=2e-3, sigmas=(0.0, 0.89), shift=2.0, keep=0.98)
_FAST_HIGH = Plan("lora_fast_4steps_high", (), steps=500, rate=4e-3, sigmas=(0.875, 1.0), keep=0.98)
_FAST_LOW = Plan("lora_fast_4steps_low", (), steps=500, rate=4e-3, sigmas=(0.1, 0.875), keep=0.98)


def train_vae(kind: str, folder: Path) -> None:
    """Train the VAE, and keep it as diffusers does, with the statistics of its latents."""
    stage = VaeStage(kind)
    train(stage, folder)
    path = folder / f"vae_{kind}"
    if path.exists():
        return
    _end(stage, folder)
    mean, std = _statistics(stage.vae)
    stage.vae.register_to_config(latents_mean=mean, latents_std=std)
    stage.vae.save_pretrained(path)


def train_decoder(kind: str, folder: Path) -> None:
    """Train the decoder of a VAE longer. Its latents stay what they were."""
    from diffusers import AutoencoderKLWan

    path = folder / f"vae_{kind}"
    stage = DecoderStage(kind, AutoencoderKLWan.from_pretrained(path).to(device.current()))
    train(stage, folder)
    _end(stage, folder)
    stage.vae.save_pretrained(path)


def encode(kind: str, buckets: Sequence[Bucket], folder: Path, *, held_out: bool = False, given: bool = False) -> None:
    """Make the clips of the buckets, or what is given of them, as latents of that VAE."""
    from diffusers import AutoencoderKLWan

    vae = AutoencoderKLWan.from_pretrained(folder / f"vae_{kind}").to(device.current())
    vaes.over_whole_clips(vae)
    vaes.lay_out_for_speed(vae)
    place = folder / f"data_{kind}"
    place.mkdir(exist_ok=True)
    for bucket in buckets:
        name = f"held_out_{bucket.name}" if held_out else bucket.name
        if given:
            dataset.make_given(vae, bucket, place / f"given_{name}.pt", held_out=held_out)
        else:
            dataset.make(vae, bucket, place / f"{name}.pt", held_out=held_out)
        print(bucket.name, flush=True)


def train_t2v_base(folder: Path) -> None:
    """The text encoder and a transformer for all noise levels, on small clips."""
    train(FlowStage(_T2V_BASE, new_transformer("t2v"), new_encoder(), folder / "data_wan21"), folder)


def train_grammar(folder: Path) -> None:
    """The text encoder alone: what the base taught it, and whose each word is."""
    train(GrammarStage(trained("t2v_base", "t2v", folder)[1]), folder)


def train_t2v_expert(plan: Plan, folder: Path) -> None:
    """One expert, at the native size, from the base."""
    transformer, _ = trained(_begun(plan.name, folder) or "t2v_base", "t2v", folder)
    train(FlowStage(plan, transformer, encoder_of(folder), folder / "data_wan21"), folder)


def given_for_i2v(folder: Path) -> None:
    """Clips for image to video, and what is given of them."""
    encode("wan21", HELD_OUT, folder, held_out=True, given=True)
    for given in (False, True):
        encode("wan21", [*FROM_PICTURES_SMALL, *FROM_PICTURES_NATIVE], folder, given=given)


def train_i2v_base(folder: Path) -> None:
    """A transformer with eyes for pictures, from the one for texts, on small clips."""
    transformer, _ = trained("t2v_base", "t2v", folder)
    train(ImageStage(_I2V_BASE, widened(transformer), encoder_of(folder), folder / "data_wan21"), folder)


def train_i2v_expert(plan: Plan, from_texts: str, folder: Path) -> None:
    """One expert at the native size: the base for pictures, plus what the one for texts learned at that size."""
    transformer, encoder = trained(_begun(plan.name, folder) or "i2v_base", "i2v", folder)
    if not _begun(plan.name, folder):
        base, _ = trained("t2v_base", "t2v", folder)
        expert, encoder = trained(from_texts, "t2v", folder)
        add_difference(transformer, base, expert)
    train(ImageStage(plan, transformer, encoder, folder / "data_wan21"), folder)


def train_ti2v(folder: Path) -> None:
    """The transformer for texts and pictures, at the native size from the start, with the text encoder as it is."""
    train(TextImageStage(_TI2V, new_transformer("ti2v"), encoder_of(folder), folder / "data_wan22"), folder)


def train_sunset(plan: Plan, expert: str, folder: Path) -> None:
    """The LoRA of one expert that paints sunsets."""
    transformer, encoder = trained(expert, "t2v", folder)
    train(AdapterStage(plan, transformer, encoder, folder / "data_wan21"), folder)


def make_teaching(folder: Path) -> None:
    """Where the experts of T2V-A14B go, for those that need four steps."""
    defaults = SPECS[ModelType.T2V_A14B].demo_defaults
    high, encoder = trained("t2v_high", "t2v", folder)
    low, _ = trained("t2v_low", "t2v", folder)
    boundary = SPECS[ModelType.T2V_A14B].boundary_ratio or 0.0
    guidance = defaults.guidance_scale, defaults.guidance_scale_2 or defaults.guidance_scale
    experts = (Expert(high, guidance[0], boundary), Expert(low, guidance[1], 0.0))
    make_trajectories(experts, encoder, folder / "trajectories.pt")


def train_fast(plan: Plan, expert: str, folder: Path) -> None:
    """The LoRA of one expert that needs two steps for what takes many."""
    transformer, encoder = trained(expert, "t2v", folder)
    train(FastStage(plan, transformer, encoder, folder / "trajectories.pt"), folder)


def pack_pair(plans: tuple[Plan, Plan], layers: Sequence[str], folder: Path) -> None:
    """Write a pair of LoRAs into the package."""
    import torch

    for plan in plans:
        transformer = new_transformer("t2v")
        add_adapter(transformer, layers)
        saved = device.load(folder / f"{plan.name}.pt")["state"]["average"]
        network = torch.nn.ModuleDict({"transformer": transformer})
        network.load_state_dict({name: value for name, value in saved.items() if "lora" in name}, strict=False)
        pack_adapter(transformer, plan.name.removeprefix("lora_"))


def trained(name: str, kind: str, folder: Path) -> tuple[Any, Any]:
    """The transformer and the text encoder that a stage ended with, or stands at."""
    import torch

    network = torch.nn.ModuleDict({"transformer": new_transformer(kind), "encoder": new_encoder()})
    saved = device.load(folder / f"{name}.pt")
    network.load_state_dict(saved["state"]["average"], strict=False)  # the text encoder's embedding has two names
    return network["transformer"], network["encoder"]


def encoder_of(folder: Path) -> Any:
    """The text encoder that all models share."""
    import torch

    encoder = new_encoder()
    saved = device.load(folder / f"{GRAMMAR}.pt")
    network = torch.nn.ModuleDict({"encoder": encoder})
    network.load_state_dict(saved["state"]["average"], strict=False)  # its embedding has two names
    return encoder


def pack_model(slug: str, folder: Path) -> None:
    """Put one model together from what its stages ended with, and write it into the package."""
    from diffusers import AutoencoderKLWan

    spec = next(spec for spec in SPECS.values() if spec.slug == slug)
    kind = slug.partition("-")[0]
    names = [kind] if spec.boundary_ratio is None else [f"{kind}_high", f"{kind}_low"]
    networks = [trained(name, kind, folder) for name in names]
    vae = AutoencoderKLWan.from_pretrained(folder / ("vae_wan22" if kind == "ti2v" else "vae_wan21"))
    parts = {"text_encoder": networks[0][1], "vae": vae, "transformer": networks[0][0]}
    if len(networks) > 1:
        parts["transformer_2"] = networks[1][0]
    pack(slug, parts, boundary_ratio=spec.boundary_ratio, flow_shift=spec.demo_defaults.flow_shift)


def unpack(folder: Path) -> None:
    """Make the shipped weights the state of the stages that they came from."""
    for slug, plans in _EXPERTS.items():
        unpack_model(slug, {plan.name: plan.steps for plan in plans}, folder)


STAGES: dict[str, Callable[[Path], None]] = {
    "vae_wan21": lambda folder: train_vae("wan21", folder),
    "held_out": lambda folder: encode("wan21", HELD_OUT, folder, held_out=True),
    "small": lambda folder: encode("wan21", SMALL, folder),
    "native": lambda folder: encode("wan21", NATIVE_AND_LATER, folder),
    "t2v_base": train_t2v_base,
    GRAMMAR: train_grammar,
    "t2v_high": lambda folder: train_t2v_expert(_T2V_HIGH, folder),
    "t2v_low": lambda folder: train_t2v_expert(_T2V_LOW, folder),
    "pack_t2v": lambda folder: pack_model("t2v-A14B", folder),
    "sunset": lambda folder: encode("wan21", AT_SUNSET, folder),
    "held_out_sunset": lambda folder: encode("wan21", AT_SUNSET[:1], folder, held_out=True),
    "lora_sunset_high": lambda folder: train_sunset(_SUNSET_HIGH, "t2v_high", folder),
    "lora_sunset_low": lambda folder: train_sunset(_SUNSET_LOW, "t2v_low", folder),
    "pack_sunset": lambda folder: pack_pair((_SUNSET_HIGH, _SUNSET_LOW), LAYERS, folder),
    "teaching": make_teaching,
    "lora_fast_4steps_high": lambda folder: train_fast(_FAST_HIGH, "t2v_high", folder),
    "lora_fast_4steps_low": lambda folder: train_fast(_FAST_LOW, "t2v_low", folder),
    "pack_fast": lambda folder: pack_pair((_FAST_HIGH, _FAST_LOW), ATTENTION, folder),
    "given": given_for_i2v,
    "i2v_base": train_i2v_base,
    "i2v_high": lambda folder: train_i2v_expert(_I2V_HIGH, "t2v_high", folder),
    "i2v_low": lambda folder: train_i2v_expert(_I2V_LOW, "t2v_low", folder),
    "pack_i2v": lambda folder: pack_model("i2v-A14B", folder),
    "vae_wan22": lambda folder: train_vae("wan22", folder),
    "held_out_wan22": lambda folder: encode("wan22", HELD_OUT[1:], folder, held_out=True),
    "native_wan22": lambda folder: encode("wan22", TEXT_OR_PICTURE, folder),
    "decoder_wan22": lambda folder: train_decoder("wan22", folder),
    "ti2v": train_ti2v,
    "pack_ti2v": lambda folder: pack_model("ti2v-5b", folder),
    "curves": lambda folder: draw_curves(folder, CURVES),
}
"""In an order in which each finds what it needs."""


def _begun(name: str, folder: Path) -> str | None:
    """The stage's name, if it has a state to go on from."""
    return name if (folder / f"{name}.pt").exists() else None


def _end(stage: Learner, folder: Path) -> None:
    """Make a stage's network what the stage ended with, in this run or an earlier one."""

    stage.load(device.load(folder / f"{stage.name}.pt")["state"])
    stage.average.apply()


def _statistics(vae: Any) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over the world's clips."""
    import torch

    random, shown = np.random.default_rng(1), list(combinations())
    picked = [shown[int(n)] for n in random.integers(len(shown), size=96)]
    with torch.no_grad(), device.in_bfloat16():
        parts = [
            vaes.encode(vae, as_clips([clip(words, random, width=112, height=64, frames=17)])).float()
            for words in picked
        ]
    latents = torch.cat(parts).transpose(0, 1).flatten(1)
    return latents.mean(1).tolist(), latents.std(1).tolist()

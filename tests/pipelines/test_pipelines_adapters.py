"""LoRAs work for the request that asks for them, and leave no trace on the next one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pipelines_kit import I2V, PICTURE, T2V, TI2V, ask, latents_of, load_from
from safetensors.numpy import load_file
from safetensors.torch import save_file as torch_save_file
from support.loras import lora_for, write

from wan22.errors import GenerationFailed, ModelCorrupt, OutOfMemory
from wan22.models.loras.files import read
from wan22.pipelines.adapters import Adapter, any_on, put_on, take_off
from wan22.pipelines.loader import LoadedModel

BF16 = {"transformer": "bf16", "text_encoder": "bf16", "vae": "fp32"}


@pytest.fixture(scope="module")
def model(demos) -> Iterator[LoadedModel]:
    """One of this module's own, since tests change it."""
    model = load_from(demos(T2V), T2V)
    yield model
    model.close()


@pytest.fixture(autouse=True)
def _plain(model) -> None:
    take_off(model)


def pair(folder: Path, seed: int = 0, weight: float = 1.0) -> list[Adapter]:
    """A LoRA on both experts."""
    names = ((0, "high"), (1, "low"))
    return [
        Adapter(n, read(lora_for(T2V, folder / f"{seed}_{name}.safetensors", seed=seed)), weight) for n, name in names
    ]


def linear_layers(model: LoadedModel) -> list[Any]:
    return [module for expert in model.experts for module in expert.modules() if type(module) is torch.nn.Linear]


def test_it_changes_what_is_made_and_then_leaves_no_trace(model, tmp_path) -> None:
    request, layers = ask(T2V), len(linear_layers(model))
    before = latents_of(model, request)
    put_on(model, pair(tmp_path))
    changed = latents_of(model, request)
    put_on(model, [])
    assert (changed - before).abs().max() > 0.1
    assert latents_of(model, request).equal(before)
    assert len(linear_layers(model)) == layers


@pytest.mark.parametrize(("model_type", "images"), [(I2V, (PICTURE,)), (TI2V, ())])
def test_every_model_takes_one(demos, tmp_path, model_type, images) -> None:
    model, request = load_from(demos(model_type), model_type), ask(model_type)
    before = latents_of(model, request, *images)
    put_on(model, [Adapter(0, read(lora_for(model_type, tmp_path / "a.safetensors")), 1.0)])
    assert not latents_of(model, request, *images).equal(before)
    put_on(model, [])
    assert latents_of(model, request, *images).equal(before)


@pytest.mark.parametrize("changes", [{"precision": BF16}, {"offload": "group"}])
def test_it_works_with_other_precisions_and_streamed_weights(demos, tmp_path, changes) -> None:
    model, request = load_from(demos(T2V), T2V, **changes), ask(T2V)
    before = latents_of(model, request)
    put_on(model, pair(tmp_path))
    assert not latents_of(model, request).equal(before)
    put_on(model, [])
    assert latents_of(model, request).equal(before)


def test_where_weights_are_streamed_its_own_are_too(demos, tmp_path) -> None:
    """On a GPU they would otherwise stay in RAM, where nothing can be multiplied with them."""
    model = load_from(demos(T2V), T2V, offload="group")
    put_on(model, pair(tmp_path))
    layers = [module for expert in model.experts for name, module in expert.named_modules() if ".lora_" in name]
    linear = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    assert linear
    assert all(layer._diffusers_hook.get_hook("group_offloading") for layer in linear)


def test_what_a_request_gets_does_not_depend_on_those_before_it(model, tmp_path) -> None:
    request, one, other = ask(T2V), pair(tmp_path, seed=1), pair(tmp_path, seed=2)
    put_on(model, [*one, *other])
    fresh = latents_of(model, request)
    put_on(model, one)
    put_on(model, other)
    put_on(model, [*one, *other])
    assert latents_of(model, request).equal(fresh)


def test_one_that_the_next_request_shares_stays_where_it_is(model, tmp_path) -> None:
    one = pair(tmp_path)
    put_on(model, one)
    layer = model.experts[0].blocks[0].attn1.to_q
    put_on(model, [*one, *pair(tmp_path, seed=2)])
    assert model.experts[0].blocks[0].attn1.to_q is layer
    assert len(layer.lora_A) == 2


def test_a_file_that_was_replaced_is_loaded_anew(model, tmp_path) -> None:
    request, (high, low) = ask(T2V), pair(tmp_path)
    put_on(model, [high, low])
    before = latents_of(model, request)
    replaced = read(lora_for(T2V, high.file.path, seed=9, rank=8))
    put_on(model, [Adapter(0, replaced, 1.0), low])
    assert not latents_of(model, request).equal(before)


def test_the_weight_is_for_its_expert_alone(model, tmp_path) -> None:
    request = ask(T2V)
    before = latents_of(model, request)
    put_on(model, pair(tmp_path, weight=0.0))
    assert latents_of(model, request).equal(before)
    high, low = pair(tmp_path)
    put_on(model, [high])
    only_high = latents_of(model, request)
    put_on(model, [high, Adapter(1, low.file, 0.0)])
    assert latents_of(model, request).equal(only_high)


def test_half_the_weight_is_half_the_matrix(model, tmp_path) -> None:
    request, (high, _) = ask(T2V), pair(tmp_path)
    put_on(model, [Adapter(0, high.file, 0.5)])
    weighed = latents_of(model, request)
    tensors = load_file(high.file.path)
    halved = {name: value * (0.5 if "lora_B" in name else 1) for name, value in tensors.items()}
    put_on(model, [Adapter(0, read(write(tmp_path / "half.safetensors", halved)), 1.0)])
    assert torch.allclose(latents_of(model, request), weighed, atol=1e-4)


ORIGINAL = {
    "attn1.to_out.0": "self_attn.o",
    "attn2.to_out.0": "cross_attn.o",
    "attn1.to_": "self_attn.",
    "attn2.to_": "cross_attn.",
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
}


def original(tensors: dict[str, Any], prefix: str, rank: int) -> dict[str, Any]:
    """The same LoRA in Wan's own names, with an alpha of twice the rank and its first matrices halved."""
    made = {}
    for name, value in tensors.items():
        layer, part, _ = name.removeprefix("transformer.").rsplit(".", 2)
        for ours, theirs in ORIGINAL.items():
            layer = layer.replace(ours, theirs)
        base = prefix + (layer.replace(".", "_") if prefix == "lora_unet_" else layer)
        down = part == "lora_A"
        made[f"{base}.lora_{'down' if down else 'up'}.weight"] = value / 2 if down else value
        made[f"{base}.alpha"] = np.array(2.0 * rank)
    return made


@pytest.mark.parametrize("prefix", ["diffusion_model.", "lora_unet_", ""])
def test_other_programs_files_do_the_same(model, tmp_path, prefix) -> None:
    request, (high, _) = ask(T2V), pair(tmp_path)
    put_on(model, [high])
    wanted = latents_of(model, request)
    path = write(tmp_path / "other.safetensors", original(load_file(high.file.path), prefix, rank=4))
    put_on(model, [Adapter(0, read(path), 1.0)])
    assert torch.allclose(latents_of(model, request), wanted, atol=1e-3)


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("alpha", [torch.float32, torch.int64, None])
def test_one_in_8_bits_works_with_its_alpha(model, tmp_path, kind, alpha) -> None:
    request, (high, _) = ask(T2V), pair(tmp_path)
    put_on(model, [high])
    wanted = latents_of(model, request)
    tensors = original(load_file(high.file.path), "diffusion_model.", rank=4)
    narrow = {
        name: torch.from_numpy(np.asarray(value, np.float32)).to(alpha or kind if "alpha" in name else kind)
        for name, value in tensors.items()
    }
    torch_save_file(narrow, tmp_path / "narrow.safetensors")
    put_on(model, [Adapter(0, read(tmp_path / "narrow.safetensors"), 1.0)])
    away = (latents_of(model, request) - wanted).square().mean().sqrt() / wanted.square().mean().sqrt()
    assert 0 < away < 0.4


def test_a_bias_on_some_layers_is_read(model, tmp_path) -> None:
    tensors = {
        f"diffusion_model.blocks.0.self_attn.q.{end}": value
        for end, value in (
            ("lora_down.weight", np.zeros((2, 128))),
            ("lora_up.weight", np.zeros((128, 2))),
            ("diff_b", np.ones(128)),
        )
    }
    tensors |= {
        f"diffusion_model.blocks.1.ffn.0.lora_{end}.weight": value
        for end, value in (
            ("down", np.zeros((2, 128))),
            ("up", np.zeros((512, 2))),
        )
    }
    request = ask(T2V)
    before = latents_of(model, request)
    put_on(model, [Adapter(0, read(write(tmp_path / "bias.safetensors", tensors)), 1.0)])
    assert not latents_of(model, request).equal(before)


def changed(high: Adapter, **values: np.ndarray) -> Adapter:
    """With a file that was good when its header was read, and then had others of its tensors."""
    path = high.file.path.with_name("changed.safetensors")
    tensors = original(load_file(high.file.path), "diffusion_model.", rank=4)
    file = read(write(path, tensors))
    layer = "diffusion_model.blocks.0.self_attn.q"
    write(path, tensors | {f"{layer}.{part}": value for part, value in values.items()})
    return Adapter(0, file, 1.0)


@pytest.mark.parametrize("values", [{"alpha": np.ones(7)}, {"lora_up.weight": np.ones((64, 4))}])
def test_what_torch_can_not_use_is_a_corrupt_file_with_a_cure(model, tmp_path, values) -> None:
    request, (high, low) = ask(T2V), pair(tmp_path)
    before = latents_of(model, request)
    with pytest.raises(ModelCorrupt, match=r"changed\.safetensors can't be put on the model \(.*\)\. Put the LoRA's"):
        put_on(model, [low, changed(high, **values)])
    assert latents_of(model, request).equal(before)


@pytest.mark.parametrize(("part", "shape"), [("A", (4, 128)), ("B", (128, 4))])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_whose_values_are_no_numbers_is_refused_by_its_name(model, tmp_path, part, shape, value) -> None:
    (high, _) = pair(tmp_path)
    tensors = load_file(high.file.path)
    tensors[f"transformer.blocks.1.attn2.to_k.lora_{part}.weight"] = np.full(shape, value)
    file = read(write(tmp_path / "bad.safetensors", tensors))
    said = r"^The LoRA file bad\.safetensors has values in its layer blocks\.1\.attn2\.to_k that are no finite numbers"
    with pytest.raises(ModelCorrupt, match=said) as refused:
        put_on(model, [Adapter(0, file, 1.0)])
    assert refused.value.hint.startswith("Leave this LoRA out")
    assert not any_on(model)


def test_where_the_numbers_overflow_leaving_the_loras_out_is_the_first_cure(model, tmp_path) -> None:
    put_on(model, pair(tmp_path, weight=1e38))
    with pytest.raises(GenerationFailed, match="ran out of their range while denoising") as failed:
        latents_of(model, ask(T2V))
    assert failed.value.hint.startswith("Leave its LoRAs out, or give them smaller weights; or ask for another seed")


@pytest.mark.parametrize("error", [ValueError, TypeError, RuntimeError])
def test_whatever_peft_raises_names_the_file(tmp_path, error) -> None:
    (high, _) = pair(tmp_path)
    with pytest.raises(ModelCorrupt, match="0_high") as caught:
        put_on(stand_in(error("no")), [high])
    assert type(caught.value.__cause__) is error


def test_memory_that_runs_out_is_no_fault_of_the_file(tmp_path) -> None:
    (high, _) = pair(tmp_path)
    with pytest.raises(OutOfMemory, match="loading the LoRAs"):
        put_on(stand_in(torch.OutOfMemoryError("CUDA out of memory")), [high])


def stand_in(error: Exception) -> Any:
    """A model with one expert, which takes no LoRA."""

    class Refusing(torch.nn.Module):
        def load_lora_adapter(self, *_: object, **__: object) -> None:
            raise error

    return SimpleNamespace(experts=[Refusing()])


def test_a_file_that_is_gone_or_does_not_fit_leaves_the_model_plain(model, tmp_path) -> None:
    request, (high, low) = ask(T2V), pair(tmp_path)
    before = latents_of(model, request)
    low.file.path.unlink()
    with pytest.raises(ModelCorrupt, match="can't be read"):
        put_on(model, [high, low])
    assert latents_of(model, request).equal(before)
    deeper = load_file(high.file.path) | {
        f"transformer.blocks.9.attn1.to_q.lora_{end}.weight": np.zeros(shape, np.float16)
        for end, shape in (("A", (4, 128)), ("B", (128, 4)))
    }
    with pytest.raises(ModelCorrupt, match="51 layers, of which 50 were found"):
        put_on(model, [Adapter(0, read(write(tmp_path / "deep.safetensors", deeper)), 1.0)])
    assert latents_of(model, request).equal(before)

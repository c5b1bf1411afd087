"""Transformers in int8 and fp8: narrowed while they are loaded, or read as they lie; nothing else is touched."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pipelines_kit import I2V, PICTURE, T2V, TI2V, ask, latents_of, load_from
from support.loras import lora_for, write

from wan22.errors import ModelCorrupt
from wan22.models.eight_bit import is_narrow
from wan22.models.loras.files import read
from wan22.pipelines import loader, staging
from wan22.pipelines.adapters import Adapter, put_on
from wan22.pipelines.loader import LoadedModel

KINDS = ("int8", "fp8")
FAR = {"int8": 0.3, "fp8": 1.0}  # of latents, whose largest is about 4; another seed is 6 away


def precision_of(bits: str, others: str = "fp32") -> dict[str, Any]:
    return {"precision": {"transformer": bits, "text_encoder": others, "vae": "fp32"}, "compute": others}


def bits_of(tensor: Any) -> Any:
    """What lies in memory of a tensor."""
    if not is_narrow(tensor):
        return {"": tensor}
    return {name: getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]}


def same(one: Any, other: Any) -> bool:
    """Whether two networks hold the same, to the bit."""
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(_equal(left[name], right[name]) for name in left)


def _equal(one: Any, other: Any) -> bool:
    left, right = bits_of(one), bits_of(other)
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype and left[name].view(torch.uint8).equal(right[name].view(torch.uint8))
        for name in left
    )


@pytest.mark.parametrize("bits", KINDS)
@pytest.mark.parametrize(("model_type", "images"), [(T2V, ()), (I2V, (PICTURE,)), (TI2V, ())])
def test_every_model_runs_in_them_close_to_what_it_does_in_fp32(models, demos, model_type, images, bits) -> None:
    model, request = load_from(demos(model_type), model_type, **precision_of(bits)), ask(model_type)
    off = (latents_of(model, request, *images) - latents_of(models(model_type), request, *images)).abs().max()
    assert 0 < off < FAR[bits]
    assert model.dtypes["transformer"] == bits


@pytest.mark.parametrize("bits", KINDS)
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_linear_layers_are_narrow_and_what_must_be_exact_is_not(demos, bits, dtype) -> None:
    wide = {"fp32": torch.float32, "bf16": torch.bfloat16}[dtype]
    expert = load_from(demos(T2V), T2V, **precision_of(bits, dtype)).experts[1]
    narrow = {name for name, value in expert.named_parameters() if is_narrow(value)}
    linear = {f"{name}.weight" for name, layer in expert.named_modules() if isinstance(layer, torch.nn.Linear)}
    exact = {name for name in linear if "time_embedder" in name}
    assert narrow == linear - exact
    assert len(exact) == 2
    block = expert.blocks[0]
    assert {block.norm2.weight.dtype, block.scale_shift_table.dtype, expert.scale_shift_table.dtype} == {torch.float32}
    assert {expert.get_parameter(name).dtype for name in exact} == {torch.float32}
    assert {block.attn1.to_q.bias.dtype, expert.patch_embedding.weight.dtype} == {wide}
    assert expert.get_parameter("proj_out.weight").dtype is wide, "it passes for what is calculated in"


@pytest.mark.parametrize("bits", KINDS)
def test_its_size_is_what_lies_in_memory(demos, bits) -> None:
    model = load_from(demos(T2V), T2V, **precision_of(bits))
    others = (model.pipeline.text_encoder, model.vae)
    held = sum(value.nbytes for part in others for value in (*part.parameters(), *part.buffers()))
    for expert in model.experts:
        held += sum(inner.nbytes for value in expert.parameters() for inner in bits_of(value).values())
        held += sum(value.nbytes for value in expert.buffers())
    assert model.size_bytes == held


@pytest.mark.parametrize("bits", KINDS)
def test_streamed_they_give_the_same(demos, bits) -> None:
    request = ask(T2V)
    whole, streamed = (
        latents_of(load_from(demos(T2V), T2V, **precision_of(bits), offload=offload), request)
        for offload in ("none", "group")
    )
    assert streamed.equal(whole)


@pytest.mark.parametrize("bits", [*KINDS, "fp32"])
def test_they_are_never_streamed_without_a_copy_of_their_own(demos, monkeypatch, bits) -> None:
    """However little RAM there is: diffusers then has nothing to come back to."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr("diffusers.hooks.apply_group_offloading", lambda *_, **said: asked.update(said))
    monkeypatch.setattr(staging.psutil, "virtual_memory", lambda: SimpleNamespace(available=0))
    expert = load_from(demos(TI2V), TI2V, **precision_of(bits)).experts[0]
    loader._stream(expert, "cuda:0", by_block=False)
    assert asked["use_stream"]
    assert asked["low_cpu_mem_usage"] is (bits == "fp32")


def biased(folder: Path) -> Path:
    """A LoRA with a bias on one of two layers."""
    tensors = {
        f"diffusion_model.blocks.{block}.self_attn.q.lora_{end}.weight": torch.full(shape, 0.05).numpy()
        for block in (0, 1)
        for end, shape in (("down", (2, 128)), ("up", (128, 2)))
    }
    tensors["diffusion_model.blocks.0.self_attn.q.diff_b"] = torch.ones(128).numpy()
    return write(folder / "biased.safetensors", tensors)


@pytest.mark.parametrize("bits", KINDS)
@pytest.mark.parametrize("offload", ["none", "group"])
def test_a_lora_works_on_them_and_leaves_no_trace(demos, tmp_path, bits, offload) -> None:
    model, request = load_from(demos(T2V), T2V, **precision_of(bits), offload=offload), ask(T2V)
    before = latents_of(model, request)
    held = [bits_of(value) for expert in model.experts for value in expert.state_dict().values()]
    held = [{name: value.clone() for name, value in one.items()} for one in held]
    for file in (lora_for(T2V, tmp_path / "a.safetensors"), biased(tmp_path)):
        put_on(model, [Adapter(0, read(file), 1.0)])
        assert (latents_of(model, request) - before).abs().max() > 0.1
        put_on(model, [])
        assert latents_of(model, request).equal(before)
    after = [bits_of(value) for expert in model.experts for value in expert.state_dict().values()]
    assert all(one[name].equal(other[name]) for one, other in zip(held, after, strict=True) for name in one)


def saved(model: LoadedModel, demos: Any, folder: Path) -> Path:
    """The model as diffusers saves it, beside links to what is not narrow."""
    source = demos(model.model_type)
    for place in source.iterdir():
        if not place.name.startswith("transformer"):
            (folder / place.name).symlink_to(place)
    for name, expert in zip(("transformer", "transformer_2"), model.experts, strict=False):
        expert.save_pretrained(folder / name, max_shard_size="500KB")
    return folder


@pytest.mark.parametrize("bits", KINDS)
def test_what_lies_on_disk_so_is_read_as_it_is(demos, tmp_path, bits) -> None:
    narrowed = load_from(demos(T2V), T2V, **precision_of(bits, "bf16"))
    read_back = load_from(saved(narrowed, demos, tmp_path), T2V, **precision_of(bits, "bf16"))
    assert all(same(one, other) for one, other in zip(narrowed.experts, read_back.experts, strict=True))
    in_fp32 = load_from(tmp_path, T2V, **precision_of(bits))
    assert in_fp32.experts[0].proj_out.weight.dtype is torch.float32
    assert latents_of(in_fp32, ask(T2V)).isfinite().all()


def test_other_bits_than_planned_are_refused(demos, tmp_path) -> None:
    folder = saved(load_from(demos(TI2V), TI2V, **precision_of("int8")), demos, tmp_path)
    with pytest.raises(ModelCorrupt, match="transformer is kept in int8 where fp8 should be"):
        load_from(folder, TI2V, **precision_of("fp8"))
    with pytest.raises(ModelCorrupt, match="kept in int8 where plain weights should be"):
        load_from(folder, TI2V)
    config = folder / "transformer" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": {"quant_method": "gguf"}}))
    with pytest.raises(ModelCorrupt, match="kept in other bits"):
        load_from(folder, TI2V, **precision_of("int8"))

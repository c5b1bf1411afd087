"""A key of a LoRA file names a layer in diffusers' words, however it is spelled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan22.models.loras.keys import block_of, in_block, is_image_branch, meaning


@pytest.mark.parametrize(
    ("key", "layer", "part"),
    [
        ("base_model.model.blocks.3.attn1.to_q.lora_A.default.weight", "blocks.3.attn1.to_q", "down"),
        ("model.diffusion_model.blocks.39.ffn.2.lora_up.weight", "blocks.39.ffn.net.2", "up"),
        ("transformer.blocks.0.attn2.to_v.lora.down.weight", "blocks.0.attn2.to_v", "down"),
        ("transformer.blocks.0.attn2.to_v.lora_B.bias", "blocks.0.attn2.to_v", "bias"),
        ("lora_unet__blocks_12_cross_attn_o.lora_up.weight", "blocks.12.attn2.to_out.0", "up"),
        ("lora_unet_time_projection_1.alpha", "condition_embedder.time_proj", "alpha"),
        ("diffusion_model.text_embedding.2.lora_A.weight", "condition_embedder.text_embedder.linear_2", "down"),
        ("blocks.0.self_attn.q.dora_scale", "blocks.0.attn1.to_q", "magnitude"),
    ],
)
def test_other_spellings_of_keys(key: str, layer: str, part: str) -> None:
    said = meaning(key)
    assert said is not None
    assert (said.layer, said.part, said.known) == (layer, part, True)


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "blocks.0.attn1.to_q.weight",
        "lora_A.weight",
        "alpha",
        ".lora_A.weight.",
        "blocks.0.self_attn.q.hada_w1_a",
    ],
)
def test_keys_of_no_lora(key: str) -> None:
    assert meaning(key) is None


def test_digits_of_other_scripts_are_no_block() -> None:
    said = meaning("blocks.٣.self_attn.q.lora_A.weight")
    assert said is not None
    assert not said.known


@given(st.text())
def test_any_key_can_be_asked_about(key: str) -> None:
    said = meaning(f"{key}.lora_A.weight")
    assert said is None or said.part == "down"


@pytest.mark.parametrize(
    "layer",
    ["blocks.0.cross_attn.k_img", "blocks_0_cross_attn_v_img", "blocks.0.attn2.add_k_proj", "img_emb.proj.1", "x_img"],
)
def test_layers_of_the_image_branch(layer: str) -> None:
    assert is_image_branch(layer)


@pytest.mark.parametrize("layer", ["blocks.0.cross_attn.k", "blocks.0.attn2.to_k", "image", "x_imgs", "add_proj"])
def test_layers_of_no_image_branch(layer: str) -> None:
    assert not is_image_branch(layer)


def test_a_layer_is_in_a_block_or_in_none() -> None:
    assert (block_of("blocks.12.ffn.net.2"), in_block("blocks.12.ffn.net.2")) == (12, "ffn.net.2")
    assert (block_of("proj_out"), in_block("proj_out")) == (None, "proj_out")

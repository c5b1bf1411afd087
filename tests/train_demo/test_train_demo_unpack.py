"""Shipped weights become the state that their stages ended with, and can be trained on."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from train_demo import device
from train_demo.pack import SHIPPED
from train_demo.run import is_done
from train_demo.stages import encoder_of, trained
from train_demo.unpack import Shipped, unpack_model

STEPS = {"t2v_high": 7, "t2v_low": 9}


def test_the_state_is_what_ships(tmp_path: Path) -> None:
    unpack_model("t2v-A14B", STEPS, tmp_path)
    for name, part in (("t2v_high", "transformer"), ("t2v_low", "transformer_2")):
        shipped = load_file(SHIPPED / "t2v-A14B" / part / "diffusion_pytorch_model.safetensors")
        transformer, _ = trained(name, "t2v", tmp_path)
        for key, value in transformer.state_dict().items():
            assert torch.equal(value, shipped[key].float()), key
        assert device.load(tmp_path / f"{name}.pt")["step"] == STEPS[name]
        assert is_done(name, tmp_path)
    words = load_file(SHIPPED / "t2v-A14B" / "text_encoder" / "model.safetensors")["shared.weight"]
    assert torch.equal(encoder_of(tmp_path).shared.weight, words.float())
    assert (tmp_path / "vae_wan21" / "config.json").is_file()


def test_a_stage_goes_on_from_it(tmp_path: Path) -> None:
    unpack_model("ti2v-5b", {"ti2v": 3}, tmp_path)
    transformer, encoder = trained("ti2v", "ti2v", tmp_path)
    stage = Shipped("ti2v", encoder, transformer)
    stage.load(device.load(tmp_path / "ti2v.pt")["state"])
    before = transformer.patch_embedding.weight.clone()
    transformer.patch_embedding.weight.square().sum().backward()
    stage.optimizer.step(1e-3)
    assert not torch.equal(before, transformer.patch_embedding.weight)


def test_what_was_trained_already_is_kept(tmp_path: Path) -> None:
    (tmp_path / "t2v_high.pt").write_bytes(b"mine")
    unpack_model("t2v-A14B", STEPS, tmp_path)
    assert (tmp_path / "t2v_high.pt").read_bytes() == b"mine"
    assert is_done("t2v_low", tmp_path)

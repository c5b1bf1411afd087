"""LoRAs in training change nothing else, go on where they stopped, and are read by diffusers as they were trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import WanTransformer3DModel
from diffusers.loaders import WanLoraLoaderMixin
from train_demo import adapters, dataset, device, pack, run
from train_demo.adapters import (
    FAST_SIGMAS,
    AdapterStage,
    Expert,
    FastStage,
    Trajectories,
    add_adapter,
    make_trajectories,
)
from train_demo.dataset import Bucket
from train_demo.flow import Plan
from train_demo.networks import new_transformer
from train_demo.run import save
from train_demo.text import new_encoder
from train_demo.vae import new_vae, over_whole_clips
from train_demo.world import SUNSET

PLAN = Plan("fast", (), steps=4, rate=1e-2, sigmas=(0.875, 1.0))


def expert() -> Any:
    torch.manual_seed(0)
    return new_transformer("t2v")


@pytest.fixture
def taught(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "trajectories.pt"
    save([Trajectories(torch.randn(8, 5, 16, 1, 4, 4).half(), ("a red circle",) * 8)], path)
    return path


def stage(taught: Path) -> FastStage:
    torch.manual_seed(0)
    return FastStage(PLAN, expert(), new_encoder(), taught)


def test_only_the_adapter_learns(taught: Path, tmp_path: Path) -> None:
    trained = stage(taught)
    run.train(trained, tmp_path / "run")
    before, after = expert().state_dict(), trained.network["transformer"].state_dict()
    for name, value in after.items():
        if "lora_B" in name:
            assert value.abs().max() > 0, name
        elif "lora" not in name:
            assert torch.equal(value, before[name.replace("base_layer.", "")]), name


def test_a_pair_for_sunsets_learns_from_clips_of_them(tmp_path: Path) -> None:
    bucket, vae = Bucket(64, 64, 5, 0.02, 1.0, "sunset"), new_vae("wan21").eval()
    over_whole_clips(vae)
    dataset.make(vae, bucket, tmp_path / f"{bucket.name}.pt")
    dataset.make(vae, bucket, tmp_path / f"held_out_{bucket.name}.pt", held_out=True)
    assert {words.ground for words in device.load(tmp_path / f"{bucket.name}.pt").words} == {SUNSET}
    stage = AdapterStage(Plan("dusk", (bucket,), steps=1, rate=1e-2), expert(), new_encoder(), tmp_path)
    stage.step(0)
    changed = {name for name, value in stage.network.state_dict().items() if "lora_B" in name and value.any()}
    assert len(changed) == 50


def test_each_expert_learns_its_own_half_of_the_steps(taught: Path) -> None:
    high = stage(taught)
    low = FastStage(Plan("low", (), steps=1, rate=0.0, sigmas=(0.1, 0.875)), expert(), new_encoder(), taught)
    assert [FAST_SIGMAS[n] for n in high._turns] == [1.0, 0.9375]
    assert [round(FAST_SIGMAS[n], 2) for n in low._turns] == [0.83, 0.62]


def test_a_trajectory_is_where_the_experts_with_guidance_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Noise that flows at a velocity of 1 above the boundary and of 3 below it; told and untold are the same."""

    def flows(transformer: float, latents: torch.Tensor, timesteps: torch.Tensor, text: object) -> torch.Tensor:
        return torch.full_like(latents, transformer)

    monkeypatch.setattr(adapters, "velocity", flows)
    monkeypatch.setattr(adapters, "read_short_texts", lambda transformer: None)
    monkeypatch.setattr(adapters, "_SIZES", ((4, 4, 1, 1),))
    experts = (Expert(1.0, 4.0, 0.875), Expert(3.0, 3.0, 0.0))
    make_trajectories(experts, new_encoder(), tmp_path / "made.pt")
    (made,) = run_load(tmp_path / "made.pt")
    steps = (made.values[:, :-1] - made.values[:, 1:]).float().mean(dim=(0, 2, 3, 4, 5))
    assert steps.tolist() == pytest.approx([0.0625, 0.1042, 3 * 0.2083, 3 * 0.625], abs=3e-3)


def run_load(path: Path) -> Any:
    return torch.load(path, weights_only=False)


def test_what_is_packed_is_read_by_diffusers_as_it_was_trained(
    taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "SHIPPED", tmp_path)
    trained = expert()
    add_adapter(trained)
    for name, value in trained.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    pack.pack_adapter(trained, "test_high")
    path = tmp_path / pack.LORAS / "test_high_noise.safetensors"
    values = WanLoraLoaderMixin.lora_state_dict(path)
    plain = expert()
    without = made_by(plain)
    plain.load_lora_adapter(values, prefix="transformer")
    assert torch.allclose(made_by(plain), made_by(trained), atol=2e-2)
    assert not torch.allclose(made_by(plain), without, atol=0.1)


def made_by(model: WanTransformer3DModel) -> torch.Tensor:
    torch.manual_seed(0)
    latents, text = torch.randn(1, 16, 2, 8, 8), torch.randn(1, 7, 96)
    with torch.no_grad():
        return model.eval()(latents, torch.tensor([500]), text, return_dict=False)[0]

"""Training that was stopped goes on as if it had not been."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from train_demo import dataset, device, flow, networks, run
from train_demo.dataset import Bucket
from train_demo.flow import FlowStage, Plan
from train_demo.muon import Muon
from train_demo.text import new_encoder
from train_demo.vae import new_vae, over_whole_clips
from train_demo.world import MOTIONS, combinations

BUCKET = Bucket(64, 64, 5, 0.02, 1.0)
PLAN = Plan("small", (BUCKET,), steps=4, rate=1e-3, train_text=True)


def small_vae() -> Any:
    torch.manual_seed(0)
    vae = new_vae("wan21").eval()
    over_whole_clips(vae)
    return vae


@pytest.fixture
def data(tmp_path: Path) -> Path:
    vae = small_vae()
    dataset.make(vae, BUCKET, tmp_path / f"{BUCKET.name}.pt")
    dataset.make(vae, BUCKET, tmp_path / f"held_out_{BUCKET.name}.pt", held_out=True)
    return tmp_path


def stage(data: Path) -> FlowStage:
    torch.manual_seed(0)
    return FlowStage(PLAN, networks.new_transformer("t2v"), new_encoder(), data)


class Interrupted(Exception):
    """Stands for a power cut."""


def test_a_stopped_stage_ends_as_one_that_was_not(data: Path, monkeypatch: Any, tmp_path: Path) -> None:
    whole = stage(data)
    run.train(whole, tmp_path / "whole")
    monkeypatch.setattr(run, "SAVE_EVERY_S", 0.0)
    stopped = stage(data)
    take = stopped.step

    def step(number: int) -> dict[str, float]:
        if number == 2:
            raise Interrupted
        return take(number)

    stopped.step = step  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        run.train(stopped, tmp_path / "parts")
    resumed = stage(data)
    run.train(resumed, tmp_path / "parts")
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


def test_a_stage_that_has_ended_is_not_trained_again(data: Path, tmp_path: Path) -> None:
    run.train(stage(data), tmp_path / "run")
    before = (tmp_path / "run" / "small.pt").stat().st_mtime_ns
    run.train(stage(data), tmp_path / "run")
    assert (tmp_path / "run" / "small.pt").stat().st_mtime_ns == before


def test_the_curve_is_kept_as_json_lines(data: Path, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "LOG_EVERY", 2)
    monkeypatch.setattr(flow, "SWAP_EVERY", 4)
    run.train(stage(data), tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "small.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert {"loss", "true", "shape", "colour", "ground", "motion"} <= set(rows[1])


def test_clips_show_only_what_may_be_seen(data: Path) -> None:
    seen = device.load(data / f"{BUCKET.name}.pt")
    held_out = device.load(data / f"held_out_{BUCKET.name}.pt")
    assert not any(words.is_held_out for words in seen.words)
    assert all(words.is_held_out for words in held_out.words)
    assert seen.values.shape == (len(seen.words), 16, 2, 8, 8)


def test_what_is_given_belongs_to_the_clips_in_their_order(data: Path, tmp_path: Path) -> None:
    """A causal VAE makes the first latent of the first picture alone, so both begin alike."""
    vae = small_vae()
    for make, name in ((dataset.make, "clips"), (dataset.make_given, "given")):
        make(vae, BUCKET, tmp_path / name)
    clips, given = device.load(tmp_path / "clips"), device.load(tmp_path / "given")
    assert torch.allclose(clips.values[:, :, 0], given.values[:, :, 0], atol=2e-2)
    assert given.has_last.tolist() == [n % 3 == 0 for n in range(len(clips.words))]


def test_a_swapped_word_is_another_of_its_kind() -> None:
    random = np.random.default_rng(0)
    for words in list(combinations())[::9]:
        other = flow.swapped(words, "motion", random)
        assert other.motion in MOTIONS
        assert other.motion != words.motion
        assert flow.swapped(words, "colour", random).colour not in (words.colour, words.ground)


def test_muon_turns_a_matrix_by_orthogonal_steps() -> None:
    torch.manual_seed(0)
    weight, bias = torch.nn.Parameter(torch.zeros(16, 8, 3)), torch.nn.Parameter(torch.zeros(16))
    optimizer = Muon([("weight", weight), ("bias", bias)])
    weight.grad, bias.grad = torch.randn_like(weight), torch.ones(16)
    optimizer.step(1.0)
    singular = torch.linalg.svdvals(weight.detach().flatten(1)) / (0.2 * 24**0.5)
    assert singular.min() > 0.6
    assert singular.max() < 1.3
    assert torch.allclose(bias.detach(), torch.full((16,), -1.0), atol=1e-4)  # AdamW's first step is the rate itself

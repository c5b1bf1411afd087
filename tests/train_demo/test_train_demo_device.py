"""A stage computes where it is told to, and nowhere else beside.

There need be no GPU for that: torch's device "meta" has shapes and no numbers, and refuses a tensor of another device
like a GPU does. A step runs to its end there, where its loss is asked for as a number.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from train_demo import dataset, device
from train_demo.adapters import FastStage, Trajectories
from train_demo.dataset import Bucket
from train_demo.flow import FlowStage, Plan
from train_demo.from_pictures import TextImageStage
from train_demo.networks import new_transformer
from train_demo.run import Learner, save
from train_demo.text import new_encoder
from train_demo.train_vae import DecoderStage, VaeStage
from train_demo.vae import new_vae, over_whole_clips

BUCKET = Bucket(64, 64, 5, 0.02, 1.0)
PLAN = Plan("small", (BUCKET,), steps=4, rate=1e-3, train_text=True)
FAST = Plan("fast", (), steps=4, rate=1e-2, sigmas=(0.875, 1.0))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stages read, made on the CPU."""
    folder, vae = tmp_path_factory.mktemp("data"), new_vae("wan21").eval()
    over_whole_clips(vae)
    dataset.make(vae, BUCKET, folder / f"{BUCKET.name}.pt")
    dataset.make(vae, BUCKET, folder / f"held_out_{BUCKET.name}.pt", held_out=True)
    save([Trajectories(torch.randn(8, 5, 16, 1, 4, 4).half(), ("a red circle",) * 8)], folder / "trajectories.pt")
    return folder


@pytest.fixture
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(device, "in_bfloat16", lambda enabled=True: contextlib.nullcontext())  # which meta has not
    with torch.device("meta"):
        yield


STAGES: dict[str, Callable[[Path], Learner]] = {
    "flow": lambda data: FlowStage(PLAN, new_transformer("t2v"), new_encoder(), data),
    "text or image": lambda data: TextImageStage(PLAN, new_transformer("t2v"), new_encoder(), data),
    "four steps": lambda data: FastStage(FAST, new_transformer("t2v"), new_encoder(), data / "trajectories.pt"),
    "vae": lambda _: VaeStage("wan21"),
    "decoder": lambda _: DecoderStage("wan22", new_vae("wan22")),
}


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize("name", STAGES)
def test_a_step_needs_nothing_of_another_device(data: Path, name: str) -> None:
    stage = STAGES[name](data)
    before = {key: id(value) for key, value in stage.average.values.items()}
    with pytest.raises(RuntimeError, match=r"Tensor\.item\(\) cannot be called on meta tensors"):
        stage.step(0)
    assert {value.device.type for value in stage.network.parameters()} == {"meta"}
    assert all(value.grad is None for value in stage.network.parameters()), "the step was taken"
    assert before.keys() == stage.average.values.keys()


def test_without_a_name_it_is_the_gpu_where_torch_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []
    monkeypatch.setattr(torch, "set_default_device", chosen.append)
    for has_gpu, name in ((True, None), (False, None), (True, "cpu"), (False, "cuda:1")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda has_gpu=has_gpu: has_gpu)
        device.use(name)
    assert chosen == ["cuda", "cuda:1"]

"""Streamed weights that are held come once and go once, whatever happens between."""

from __future__ import annotations

import pytest
import torch

from wan22.pipelines.held import held


@pytest.fixture
def layers():
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Sequential(torch.nn.GELU(), torch.nn.Linear(4, 4)))


@pytest.fixture
def streamed(layers, monkeypatch):
    """The layers, streamed one by one; and what happens to their weights."""
    from diffusers.hooks import apply_group_offloading
    from diffusers.hooks.group_offloading import ModuleGroup

    apply_group_offloading(layers, torch.device("cpu"), offload_type="leaf_level")
    names, happened = {module: name for name, module in layers.named_modules()}, []

    def noting(verb):
        original = getattr(ModuleGroup, verb)

        def noted(group) -> None:
            happened.append(f"{verb}{names[group.modules[0]]}")
            original(group)

        return noted

    for verb in ("onload_", "offload_"):
        monkeypatch.setattr(ModuleGroup, verb, noting(verb))
    return layers, happened


ALWAYS = ["onload_0", "offload_0", "onload_1.1", "offload_1.1"]
HELD = ["onload_0", "onload_1.1", "offload_1.1", "offload_0"]


def test_without_it_they_come_and_go_in_each_pass(streamed) -> None:
    layers, happened = streamed
    for _ in range(2):
        layers(torch.ones(1, 4))
    assert happened == 2 * ALWAYS


def test_they_come_before_the_first_pass_and_go_after_the_last(streamed) -> None:
    layers, happened = streamed
    plain = layers(torch.ones(1, 4))
    happened.clear()
    with held(layers):
        assert all(layers(torch.ones(1, 4)).equal(plain) for _ in range(3))
    assert happened == HELD
    happened.clear()
    layers(torch.ones(1, 4))
    assert happened == ALWAYS


def test_they_go_after_a_pass_that_failed(streamed) -> None:
    layers, happened = streamed
    with pytest.raises(RuntimeError), held(layers):
        layers(torch.ones(1, 5))
    assert happened == HELD
    happened.clear()
    layers(torch.ones(1, 4))
    assert happened == ALWAYS


def test_what_came_goes_where_one_does_not_fit(streamed, monkeypatch) -> None:
    from diffusers.hooks.group_offloading import ModuleGroup

    layers, happened = streamed
    noted = ModuleGroup.onload_

    def full(group) -> None:
        if group.modules[0] is layers[1][1]:
            raise MemoryError
        noted(group)

    with monkeypatch.context() as patched:
        patched.setattr(ModuleGroup, "onload_", full)
        with pytest.raises(MemoryError), held(layers):
            pass
    assert happened == ["onload_0", "offload_0"]
    happened.clear()
    layers(torch.ones(1, 4))
    assert happened == ALWAYS


def test_who_finds_out_the_order_of_layers_is_told_of_each_once(streamed) -> None:
    """With streams, which only GPUs have, diffusers fetches the next layer ahead in the order of the first pass."""
    from diffusers.hooks.group_offloading import LayerExecutionTrackerHook

    layers, _ = streamed
    order = []
    for name in ("0", "1.1"):
        registry = layers.get_submodule(name)._diffusers_hook
        registry.register_hook(
            LayerExecutionTrackerHook(lambda name=name: order.append(name)), "layer_execution_tracker"
        )
    with held(layers):
        for _ in range(3):
            layers(torch.ones(1, 4))
    assert order == ["0", "1.1"]


def test_what_is_not_streamed_is_left_alone(layers) -> None:
    plain = layers(torch.ones(1, 4))
    with held(layers):
        assert layers(torch.ones(1, 4)).equal(plain)

"""Blocks run in slices give what they give whole, hold no slice longer than asked, and are as before afterwards."""

from __future__ import annotations

import math
from contextlib import contextmanager

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pipelines_kit import I2V, PICTURE, T2V, TI2V, Recorder, ask, latents_of, load_from
from support.loras import lora_for
from torch.nn.attention import SDPBackend, sdpa_kernel

from wan22.errors import Cancelled
from wan22.models.loras.files import read
from wan22.pipelines.adapters import Adapter, put_on
from wan22.pipelines.slices import in_slices
from wan22.tasks import Phase

FRAMES, ROWS, COLUMNS = 3, 5, 7
LENGTH = FRAMES * ROWS * COLUMNS
CASES = {
    "text to video": (T2V, ()),
    "image to video": (I2V, (PICTURE,)),
    "5B from text": (TI2V, ()),
    "5B from a picture, tokens at two timesteps": (TI2V, (PICTURE,)),
}
every_case = pytest.mark.parametrize(("model_type", "images"), CASES.values(), ids=CASES)


def blocks_of(model):
    return [block for expert in model.experts for block in expert.blocks]


def passed(transformer, *, batch=1, each_token=False):
    """What one pass gives for latents of LENGTH tokens; with a timestep for each, the first frame's is 0."""
    random = torch.Generator().manual_seed(0)
    timestep = torch.full((batch,), 700.0)
    if each_token:
        timestep = torch.full((batch, LENGTH), 700.0)
        timestep[:, : ROWS * COLUMNS] = 0
    shape = (batch, transformer.config.in_channels, FRAMES, 2 * ROWS, 2 * COLUMNS)
    text = torch.randn((batch, 512, transformer.config.text_dim), generator=random)
    with torch.no_grad():
        return transformer(torch.randn(shape, generator=random), timestep, text, return_dict=False)[0]


@contextmanager
def tokens_seen(blocks):
    """How many tokens each pass of the blocks' feed-forwards has."""
    seen = []
    handles = [
        block.ffn.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))  # what LoRAs leave alone
        for block in blocks
    ]
    yield seen
    for handle in handles:
        handle.remove()


def is_plain(block):
    """Whether nothing of ours is left."""
    return "forward" not in vars(block) and type(block.attn1.processor).__name__ == "WanAttnProcessor"


def off(one, other):
    return float((one - other).abs().max())


@settings(max_examples=12, deadline=None)
@example(tokens=1, queries=None, batch=1, each_token=True)
@example(tokens=LENGTH - 1, queries=1, batch=2, each_token=False)
@example(tokens=LENGTH + 1, queries=13, batch=1, each_token=True)
@given(
    tokens=st.integers(1, LENGTH + 5),
    queries=st.none() | st.integers(1, LENGTH + 5),
    batch=st.integers(1, 2),
    each_token=st.booleans(),
)
def test_any_slices_give_the_same(models, tokens, queries, batch, each_token) -> None:
    (transformer,) = models(TI2V).experts
    whole = passed(transformer, batch=batch, each_token=each_token)
    with in_slices(transformer.blocks, tokens, queries=queries), tokens_seen(transformer.blocks) as seen:
        sliced = passed(transformer, batch=batch, each_token=each_token)
    assert off(sliced, whole) < 1e-5
    assert max(seen) <= tokens
    assert sum(seen) == LENGTH * len(transformer.blocks)
    assert len(seen) == math.ceil(LENGTH / tokens) * len(transformer.blocks)


@every_case
def test_a_run_gives_the_same_and_leaves_nothing(models, model_type, images) -> None:
    model, request = models(model_type), ask(model_type)
    blocks, processors = blocks_of(model), [block.attn1.processor for block in blocks_of(model)]
    whole, told, told_sliced = latents_of(model, request, *images), Recorder(), Recorder()
    with in_slices(blocks, 3), tokens_seen(blocks) as seen:
        sliced = latents_of(model, request, *images, reporter=told_sliced)
    assert set(seen) <= {2, 3}
    assert off(sliced, whole) < 1e-4, "a pass is within 1e-5, which guidance and four steps make more of"
    assert latents_of(model, request, *images, reporter=told).equal(whole)
    assert told_sliced.checks == told.checks, "watched between blocks, and not between slices"
    assert all(map(is_plain, blocks))
    assert [block.attn1.processor for block in blocks] == processors


def test_a_token_attends_to_those_of_other_slices(models) -> None:
    """So that the tests above would see slices that keep to themselves."""
    (transformer,) = models(TI2V).experts
    begins = []
    hook = transformer.blocks[0].register_forward_hook(lambda _, given, out: begins.append((given, out)))
    passed(transformer)
    hook.remove()
    (hidden, text, temb, rotary), out = begins[0]
    with torch.no_grad():
        alone = transformer.blocks[0](hidden[:, :9], text, temb, tuple(part[:, :9] for part in rotary))
    assert off(alone, out[:, :9]) > 1e-2


@pytest.mark.parametrize("queries", [1, 8, 200])
def test_no_more_queries_attend_at_once_than_asked(models, monkeypatch, queries) -> None:
    """Self-attention's matrix of scores is the one that grows with the square of the sequence."""
    from diffusers.models import attention_dispatch

    attended, original = [], attention_dispatch.dispatch_attention_fn

    def dispatch(query, key, value, **others):
        attended.append((query.shape[1], key.shape[1]))
        return original(query, key, value, **others)

    monkeypatch.setattr(attention_dispatch, "dispatch_attention_fn", dispatch)
    transformer = models(T2V).experts[1]
    with sdpa_kernel(SDPBackend.MATH):
        whole = passed(transformer)
        with in_slices(transformer.blocks, 40, queries=queries):
            sliced = passed(transformer)
    assert off(sliced, whole) < 1e-5
    assert {keys for _, keys in attended} == {LENGTH}
    assert max(some for some, _ in attended) == min(queries, LENGTH // 3)


@pytest.mark.parametrize("tokens", [LENGTH, LENGTH + 1])
def test_a_sequence_of_one_slice_is_run_as_always(models, tokens) -> None:
    transformer = models(T2V).experts[0]
    whole = passed(transformer)
    with in_slices(transformer.blocks, tokens), tokens_seen(transformer.blocks) as seen:
        assert passed(transformer).equal(whole)
    assert set(seen) == {LENGTH}


@pytest.mark.parametrize(("tokens", "queries"), [(0, None), (-1, None), (8, 0)])
def test_slices_without_a_token_are_refused(models, tokens, queries) -> None:
    blocks = blocks_of(models(T2V))
    with pytest.raises(ValueError, match="at least one token"), in_slices(blocks, tokens, queries=queries):
        pass
    assert all(map(is_plain, blocks))


def test_a_pass_that_fails_between_two_slices_leaves_nothing(models) -> None:
    transformer = models(T2V).experts[0]
    whole, begun = passed(transformer), []

    def fail(*_) -> None:
        begun.append(1)
        if len(begun) == 2:
            raise MemoryError

    hook = transformer.blocks[1].ffn.register_forward_pre_hook(fail)
    with pytest.raises(MemoryError), in_slices(transformer.blocks, 9):
        passed(transformer)
    hook.remove()
    assert all(map(is_plain, transformer.blocks))
    assert passed(transformer).equal(whole)


def test_a_run_that_is_cancelled_leaves_nothing(models) -> None:
    model, request = models(T2V), ask(T2V)
    whole, reporter = latents_of(model, request), Recorder(cancel_in=Phase.DENOISE, cancel_at=5)
    with pytest.raises(Cancelled), in_slices(blocks_of(model), 9):
        latents_of(model, request, reporter=reporter)
    assert latents_of(model, request).equal(whole)


def test_of_two_the_inner_one_holds(models) -> None:
    transformer = models(T2V).experts[0]
    whole = passed(transformer)
    with in_slices(transformer.blocks, 50), tokens_seen(transformer.blocks) as seen:
        with in_slices(transformer.blocks, 5):
            assert off(passed(transformer), whole) < 1e-5
        assert max(seen) == 5
        seen.clear()
        assert off(passed(transformer), whole) < 1e-5
        assert max(seen) == 35
    assert passed(transformer).equal(whole)


@pytest.mark.parametrize("offload", ["none", "group"])
@pytest.mark.parametrize("inside", [False, True], ids=["put on before", "put on inside"])
def test_with_a_lora(demos, tmp_path, offload, inside) -> None:
    """Where weights are streamed a LoRA renews the hooks on all layers."""
    model = load_from(demos(T2V), T2V, offload=offload)
    transformer, adapters = model.experts[0], [Adapter(0, read(lora_for(T2V, tmp_path / "a.safetensors")), 1.0)]
    without = passed(transformer)
    put_on(model, adapters)
    whole = passed(transformer)
    put_on(model, [] if inside else adapters)
    with in_slices(transformer.blocks, 9), tokens_seen(transformer.blocks) as seen:
        put_on(model, adapters)
        assert off(passed(transformer), whole) < 1e-5 < off(whole, without)
    assert max(seen) == 9
    assert passed(transformer).equal(whole)
    put_on(model, [])
    assert passed(transformer).equal(without)


@pytest.mark.parametrize("bits", ["int8", "fp8"])
@pytest.mark.parametrize("offload", ["none", "group"])
def test_with_narrow_weights(demos, bits, offload) -> None:
    precision = {"transformer": bits, "text_encoder": "fp32", "vae": "fp32"}
    model = load_from(demos(TI2V), TI2V, precision=precision, compute="fp32", offload=offload)
    whole = passed(model.experts[0])
    with in_slices(blocks_of(model), 9):
        assert off(passed(model.experts[0]), whole) < 1e-5
    assert passed(model.experts[0]).equal(whole)


@pytest.mark.parametrize(
    "level",
    [
        {"offload_type": "leaf_level"},
        {"offload_type": "block_level", "num_blocks_per_group": 1},
        {"offload_type": "block_level", "num_blocks_per_group": 3},
    ],
    ids=["layers", "blocks", "three blocks"],
)
def test_streamed_weights_are_fetched_as_often_as_without(demos, monkeypatch, level) -> None:
    from diffusers.hooks.group_offloading import ModuleGroup, apply_group_offloading

    fetched, original = [], ModuleGroup.onload_
    monkeypatch.setattr(ModuleGroup, "onload_", lambda group: (fetched.append(id(group)), original(group)))
    transformer = load_from(demos(T2V), T2V).experts[0]
    device = torch.device("cpu")
    apply_group_offloading(transformer, onload_device=device, offload_device=device, **level)
    whole, each_once = passed(transformer), sorted(fetched)
    fetched.clear()
    with in_slices(transformer.blocks, 9):
        assert off(passed(transformer), whole) < 1e-5
    assert sorted(fetched) == each_once
    fetched.clear()
    assert passed(transformer).equal(whole)
    assert sorted(fetched) == each_once

"""Networks take turns on the device, blocks that do not stay come one ahead, and nothing of it changes a number."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines_kit import I2V, PICTURE, T2V, TI2V, Recorder, ask, frames_of, latents_of, load_from, plan_of
from support.loras import lora_for

from wan22.errors import Cancelled, OutOfMemory
from wan22.models.loras.files import read
from wan22.pipelines.adapters import Adapter, put_on
from wan22.pipelines.staging import in_a_ring, spread
from wan22.tasks import Phase

every_mode = pytest.mark.parametrize(("model_type", "images"), [(T2V, ()), (I2V, (PICTURE,)), (TI2V, (PICTURE,))])


@pytest.fixture
def moved(monkeypatch):
    """What came and went, by the names of the parts of a model."""
    from diffusers.hooks.group_offloading import ModuleGroup

    names, happened = {}, []

    def noting(verb):
        original = getattr(ModuleGroup, verb)

        def noted(group) -> None:
            if (name := names.get(id(group.modules[-1]))) is not None:
                happened.append(f"{'+' if verb == 'onload_' else '-'}{name}")
            original(group)

        monkeypatch.setattr(ModuleGroup, verb, noted)

    for verb in ("onload_", "offload_"):
        noting(verb)

    @contextmanager
    def of(model):
        names.update({id(part): name for name, part in model.pipeline.components.items() if name != "scheduler"})
        for name, expert in zip(("high", "low"), model.experts, strict=False):
            names.update({id(block): f"{name} {index}" for index, block in enumerate(expert.blocks)})
        happened.clear()
        yield happened
        names.clear()

    return of


def test_each_network_is_there_for_its_phase_alone(demos, moved) -> None:
    model, request = load_from(demos(T2V), T2V, offload="model"), ask(T2V)
    with moved(model) as happened, model.run_as(plan_of(offload="model")):
        frames_of(model, latents_of(model, request))
    turns = ["text_encoder", "transformer", "transformer_2", "vae"]
    assert happened == [one for name in turns for one in (f"+{name}", f"-{name}")]


def test_what_is_streamed_comes_in_each_pass_and_the_rest_for_the_turn(demos, moved) -> None:
    model = load_from(demos(TI2V), TI2V, offload="blocks")
    count = len(model.experts[0].blocks)
    plan = plan_of(offload="blocks", resident_blocks=count - 1)
    with model.run_as(plan), moved(model) as happened:
        latents_of(model, ask(TI2V, steps=2))
    (streamed,) = spread(1, count)
    passes = [one for one in happened if one[1:] == f"high {streamed}"]
    assert passes == [f"+high {streamed}", f"-high {streamed}"] * 4, "two steps of two passes"
    stayed = [one for one in happened if one.startswith("+high") and one not in passes]
    assert len(stayed) == 1, "the group of all others, which is named by its last block"


@every_mode
@pytest.mark.parametrize("resident", [0, 1, 2, 99])
def test_however_many_blocks_stay_the_latents_are_the_same(models, demos, model_type, images, resident) -> None:
    request = ask(model_type)
    model = load_from(demos(model_type), model_type, offload="blocks", resident_blocks=0)
    expected = latents_of(models(model_type), request, *images)
    with model.run_as(plan_of(offload="blocks", resident_blocks=resident)):
        assert latents_of(model, request, *images).equal(expected)
    with model.run_as(plan_of(offload="blocks", resident_blocks=1, slices=7)):
        assert (latents_of(model, request, *images) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("offload", ["model", "blocks"])
def test_a_lora_comes_along_and_goes_without_a_trace(models, demos, tmp_path, offload) -> None:
    request = ask(T2V)
    model, plain = load_from(demos(T2V), T2V, offload=offload, resident_blocks=1), models(T2V)
    adapters = [Adapter(number, read(lora_for(T2V, tmp_path / "a.safetensors")), 1.0) for number in (0, 1)]
    without = latents_of(plain, request)
    try:
        put_on(plain, adapters)
        expected = latents_of(plain, request)
    finally:
        put_on(plain, [])
    put_on(model, adapters)
    assert latents_of(model, request).equal(expected)
    put_on(model, [])
    assert latents_of(model, request).equal(without)
    assert not expected.equal(without)


@pytest.mark.parametrize("bits", ["int8", "fp8"])
@pytest.mark.parametrize("offload", ["model", "blocks"])
def test_weights_of_8_bits_take_turns_too(demos, bits, offload) -> None:
    precision = {"transformer": bits, "text_encoder": "fp32", "vae": "fp32"}
    stay, turn = (
        load_from(demos(TI2V), TI2V, precision=precision, compute="fp32", offload=how, resident_blocks=1)
        for how in ("none", offload)
    )
    assert latents_of(turn, ask(TI2V)).equal(latents_of(stay, ask(TI2V)))


@pytest.mark.parametrize("offload", ["model", "blocks"])
def test_after_a_cancel_all_have_gone_and_the_next_run_is_as_ever(models, demos, moved, offload) -> None:
    model, request = load_from(demos(T2V), T2V, offload=offload, resident_blocks=1), ask(T2V)
    with moved(model) as happened:
        with pytest.raises(Cancelled), model.run_as(plan_of(offload=offload, resident_blocks=1)):
            latents_of(model, request, reporter=Recorder(cancel_in=Phase.DENOISE, cancel_at=5))
        left = {one[1:]: one[0] for one in happened}
        assert set(left.values()) == {"-"}
    with model.run_as(plan_of(offload=offload, resident_blocks=1)):
        assert latents_of(model, request).equal(latents_of(models(T2V), request))


def test_what_does_not_fit_is_out_of_memory_and_goes(demos, moved, monkeypatch) -> None:
    from diffusers.hooks.group_offloading import ModuleGroup

    model, came = load_from(demos(TI2V), TI2V, offload="model"), ModuleGroup.onload_
    latents = latents_of(model, ask(TI2V))

    def full(group) -> None:
        came(group)
        raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")

    with moved(model) as happened:
        with model.run_as(plan_of(offload="model")), monkeypatch.context() as patched:
            patched.setattr(ModuleGroup, "onload_", full)
            with pytest.raises(OutOfMemory, match="while decoding"):
                frames_of(model, latents)
        assert happened[-1] == "-vae"


class FakeGroup:
    """One block and its weights, of which only the place is kept: on the device, on the way there, or in RAM."""

    def __init__(self, diary: list[str], name: str) -> None:
        self.modules, self.parameters, self.onload_self = (), [self], True
        self.onload_leader = self.offload_leader = self
        self.offload_device, self.onload_device, self.non_blocking = "ram", "gpu", True
        self.stream, self._place, self._diary, self._name = self, "ram", diary, name

    @property
    def device(self) -> str:
        return "ram" if self._place == "ram" else "gpu"

    def onload_(self) -> None:
        FakeGroup.arrive()
        assert self._place == "ram", "what is there is not fetched again"
        self._diary.append(f"+{self._name}")
        self._place = "on the way"
        FakeGroup.coming = self

    def offload_(self) -> None:
        self._place = "ram"
        self._diary.append(f"-{self._name}")

    def synchronize(self) -> None:
        FakeGroup.arrive()

    coming = None

    @classmethod
    def arrive(cls) -> None:
        """The copy that was begun ends, as it does before the next one begins."""
        if cls.coming and cls.coming._place == "on the way":
            cls.coming._place = "gpu"
        cls.coming = None


def passed(hooks) -> None:
    """A pass over the blocks, each of which is whole on the device when it is used."""
    for hook in hooks:
        hook.pre_forward(hook.group)
        assert hook.group._place == "gpu"
        hook.post_forward(hook.group, None)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_block_is_fetched_once_a_pass_while_the_one_before_it_is_used(count) -> None:
    """With streams, which only GPUs have."""
    from diffusers.hooks.group_offloading import GroupOffloadingHook

    diary: list[str] = []
    groups = [FakeGroup(diary, str(index)) for index in range(count)]
    hooks = [GroupOffloadingHook(group, config=SimpleNamespace(exclude_kwargs=None)) for group in groups]
    in_a_ring(hooks)
    passed(hooks)
    if count > 1:
        assert diary[:3] == ["+0", "+1", "-0"], "the second is on its way while the first is used"
    diary.clear()
    for _ in range(2):
        passed(hooks)
    assert all(diary.count(f"+{index}") == 2 for index in range(count))
    there, most = {"0"} if count > 1 else set(), 0
    for one in diary:
        there = there | {one[1:]} if one[0] == "+" else there - {one[1:]}
        most = max(most, len(there))
    assert most <= 2


@given(st.integers(1, 40).flatmap(lambda blocks: st.tuples(st.just(blocks), st.integers(0, blocks))))
def test_blocks_that_are_streamed_are_spread_evenly(sizes: tuple[int, int]) -> None:
    blocks, streamed = sizes
    found = spread(streamed, blocks)
    assert len(set(found)) == streamed
    assert all(0 <= index < blocks for index in found)
    gaps = [after - before for before, after in itertools.pairwise(found)]
    assert not gaps or max(gaps) - min(gaps) <= 1

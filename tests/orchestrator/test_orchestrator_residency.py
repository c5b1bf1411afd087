"""Residency: a leased model is never dropped, the oldest goes first, the budget holds, every change is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan22.orchestrator.residency import ModelKey, Residency
from wan22.tasks import EventType


class FakeModel:
    """A model that remembers whether it was closed."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def key(name: str) -> ModelKey:
    return ModelKey(name, "demo", "cpu", (("transformer", "fp32"),), "none")


class Bench:
    """A residency with a budget of 10 bytes and a diary of what it told."""

    def __init__(self, budget_bytes: int = 10) -> None:
        self.diary: list[tuple[EventType, str]] = []
        self.residency: Residency[FakeModel] = Residency(
            budget_bytes, lambda what, key: self.diary.append((what, key.model_type))
        )

    def use(self, name: str, size_bytes: int) -> FakeModel:
        with self.residency.lease(key(name), size_bytes, lambda: FakeModel(size_bytes)) as model:
            assert not model.is_closed
            return model

    def loaded(self) -> list[str]:
        return [resident.key.model_type for resident in self.residency.residents()]


def test_a_model_is_loaded_once_and_lent_again() -> None:
    bench = Bench()
    assert bench.use("a", 4) is bench.use("a", 4)
    assert bench.diary == [(EventType.MODEL_LOADED, "a")]


def test_what_was_loaded_before_its_files_changed_is_dropped_and_loaded_anew() -> None:
    bench = Bench()
    old, other = bench.use("a", 4), bench.use("b", 4)
    with bench.residency.lease(replace(key("a"), stamp="mended"), 4, lambda: FakeModel(4)) as model:
        assert model is not old
    assert (old.is_closed, other.is_closed) == (True, False)
    assert sorted(bench.loaded()) == ["a", "b"]


def test_the_one_used_longest_ago_makes_room() -> None:
    bench = Bench()
    first, _, _ = bench.use("a", 4), bench.use("b", 4), bench.use("a", 4)
    bench.use("c", 4)
    assert bench.loaded() == ["a", "c"]
    assert not first.is_closed
    assert bench.diary[-2:] == [(EventType.MODEL_UNLOADED, "b"), (EventType.MODEL_LOADED, "c")]


def test_a_leased_model_stays_even_when_the_budget_is_burst() -> None:
    bench = Bench()
    with bench.residency.lease(key("a"), 9, lambda: FakeModel(9)) as held:
        bench.use("b", 9)
        assert not held.is_closed
        bench.residency.drop(key("a"))
        assert not held.is_closed


def test_unloading_drops_a_model_and_leaves_what_is_leased_and_the_others() -> None:
    bench = Bench()
    bench.use("a", 2)
    bench.use("b", 2)
    assert bench.residency.unload("a") == (key("a"),)
    with bench.residency.lease(key("b"), 2, lambda: FakeModel(2)):
        assert bench.residency.unload("b") == ()
    assert bench.loaded() == ["b"]


def test_a_model_larger_than_the_budget_is_loaded_alone() -> None:
    bench = Bench()
    bench.use("a", 4)
    bench.use("giant", 40)
    assert bench.loaded() == ["giant"]


def test_a_failed_load_leaves_nothing_behind() -> None:
    bench = Bench()

    def broken() -> FakeModel:
        raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"), bench.residency.lease(key("a"), 4, broken):
        pass
    assert bench.loaded() == []
    assert bench.use("a", 4)


def test_close_drops_everything() -> None:
    bench = Bench()
    models = [bench.use("a", 4), bench.use("b", 4)]
    bench.residency.close()
    assert bench.loaded() == []
    assert all(model.is_closed for model in models)


@given(uses=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 10)), max_size=40))
def test_the_budget_holds_whatever_is_asked(uses: list[tuple[str, int]]) -> None:
    bench = Bench()
    for name, size_bytes in uses:
        bench.use(f"{name}{size_bytes}", size_bytes)
        assert sum(resident.model.size_bytes for resident in bench.residency.residents()) <= 10
        assert f"{name}{size_bytes}" in bench.loaded()


def on_gpu(name: str, offload: str = "none") -> ModelKey:
    return replace(key(name), device="cuda:0", offload=offload)


@pytest.mark.parametrize(("needed", "left"), [(2, "ABCD"), (4, "BCD"), (7, "CD"), (99, "CD")])
def test_what_stays_on_a_gpu_goes_for_a_run_that_needs_the_room(needed: int, left: str) -> None:
    """A and B stay there; C waits in RAM, and D is elsewhere."""
    bench, models = Bench(budget_bytes=100), {}
    for wanted in (on_gpu("A"), on_gpu("B"), on_gpu("C", "model"), replace(on_gpu("D"), device="cuda:1")):
        models[wanted.model_type] = FakeModel(3)
        bench.residency.hold(wanted, 3, lambda name=wanted.model_type: models[name])  # type: ignore[misc] - its default

    def free() -> int:
        return 2 + sum(model.size_bytes for model in models.values() if model.is_closed)

    bench.residency.leave_room(on_gpu("E"), needed, free)
    assert "".join(sorted(bench.loaded())) == left


def test_a_model_needs_no_room_for_what_it_holds_itself() -> None:
    bench = Bench(budget_bytes=100)
    for wanted in (on_gpu("A"), on_gpu("B")):
        bench.residency.hold(wanted, 5, lambda: FakeModel(5))
    bench.residency.leave_room(on_gpu("A"), 7, lambda: 2)
    assert sorted(bench.loaded()) == ["A", "B"]
    bench.residency.leave_room(on_gpu("A"), 8, lambda: 2)
    assert bench.loaded() == ["A"]

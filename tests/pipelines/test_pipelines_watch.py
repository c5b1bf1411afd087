"""Looking on while a model computes: every pass is seen, progress is told in percents, and nothing stays behind."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines_kit import Recorder

from wan22.errors import Cancelled
from wan22.pipelines.watch import FINEST, Ticker, watching
from wan22.tasks import Phase


@given(total=st.integers(1, 500), pieces=st.integers(0, 600))
def test_progress_grows_in_steps_that_are_not_too_fine(total, pieces) -> None:
    reporter = Recorder()
    ticker = Ticker(reporter, total)
    for _ in range(pieces):
        ticker.tick()
    fractions = [0.0, *(fraction for fraction, _, _ in reporter.told)]
    assert all(after - before >= FINEST for before, after in itertools.pairwise(fractions))
    assert fractions[-1] <= 1
    assert len(fractions) <= 102


@given(st.integers(1, 50))
def test_each_piece_asks_whether_to_stop(at) -> None:
    reporter = Recorder(cancel_in=Phase.DECODE, cancel_at=at)
    reporter.phase(Phase.DECODE)
    ticker = Ticker(reporter, 50)
    for _ in range(at - 1):
        ticker.tick()
    with pytest.raises(Cancelled):
        ticker.tick()


@pytest.fixture
def layers():
    import torch

    return [torch.nn.Identity() for _ in range(3)]


def test_every_pass_of_every_module_is_seen(layers) -> None:
    seen = []
    with watching(layers, lambda: seen.append(1)):
        for layer in (*layers, layers[0]):
            assert layer(5) == 5
    layers[0](5)
    assert len(seen) == 4


def test_a_pass_that_is_ended_leaves_no_hook(layers) -> None:
    def stop() -> None:
        raise Cancelled("Now.")

    with pytest.raises(Cancelled), watching(layers, stop):
        layers[1](5)
    assert not any(layer._forward_pre_hooks for layer in layers)
    assert layers[1](5) == 5

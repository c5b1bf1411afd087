"""The noise schedule: diffusers' UniPC, whole or from the middle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan22.pipelines.schedule import noised, scheduler_for, skipped_steps


def unipc(shift: float = 3.0):
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift)


def walk(scheduler, steps, latents, velocity):
    """The latents after all steps of a model that always answers `velocity`."""
    scheduler.set_timesteps(steps)
    for timestep in scheduler.timesteps:
        (latents,) = scheduler.step(velocity, timestep, latents, return_dict=False)
    return latents


@pytest.mark.parametrize(
    ("steps", "strength", "skipped"),
    [(10, None, 0), (10, 1.0, 0), (10, 0.6, 4), (10, 0.01, 9), (1, 0.1, 0), (3, 0.5, 1)],
)
def test_strength_is_the_share_of_steps_that_run(steps, strength, skipped) -> None:
    assert skipped_steps(steps, strength) == skipped


@given(st.integers(1, 200), st.floats(0, 1, exclude_min=True))
def test_at_least_one_step_runs(steps, strength) -> None:
    assert 0 <= skipped_steps(steps, strength) < steps


@given(steps=st.integers(1, 40), share=st.floats(0, 0.99), shift=st.floats(1, 12))
def test_a_late_start_has_the_last_timesteps_of_the_whole_grid(steps, share, shift) -> None:
    whole, late = unipc(shift), scheduler_for(unipc(), flow_shift=shift, skipped=int(steps * share))
    whole.set_timesteps(steps)
    late.set_timesteps(steps)
    assert late.timesteps.equal(whole.timesteps[int(steps * share) :])
    assert late.sigmas.equal(whole.sigmas)


@given(steps=st.integers(1, 30), share=st.floats(0, 0.99), shift=st.floats(1, 12))
def test_a_perfect_model_comes_from_any_start_to_the_clean_picture(steps, share, shift) -> None:
    import torch

    clean, noise = torch.tensor([[[[[0.7]]]]]), torch.tensor([[[[[-1.3]]]]])
    scheduler = scheduler_for(unipc(), flow_shift=shift, skipped=int(steps * share))
    start = noised(scheduler, steps, clean=clean, noise=noise)
    assert torch.allclose(walk(scheduler, steps, start, noise - clean), clean, atol=1e-4)


def test_a_whole_run_is_that_of_unipc() -> None:
    import torch

    latents, velocity = torch.randn(2, 1, 4, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    expected = walk(unipc(5.0), 6, latents, velocity.sin())
    assert walk(scheduler_for(unipc(), flow_shift=5.0), 6, latents, velocity.sin()).equal(expected)


@pytest.mark.parametrize(("steps", "shift"), [(50, 100.0), (200, 12.0)])
def test_first_timesteps_that_are_the_same_number_are_taken_in_order(steps, shift) -> None:
    """Looked up by their number, the first would be taken for the second, and the last step would find no sigma."""
    import torch

    scheduler = scheduler_for(unipc(), flow_shift=shift)
    scheduler.set_timesteps(steps)
    assert scheduler.timesteps[0] == scheduler.timesteps[1]
    noise = torch.ones(1, 4, 1, 2, 2)
    assert walk(scheduler, steps, noise, noise).abs().max() < 1e-4


def test_the_model_s_own_scheduler_is_not_touched() -> None:
    base = unipc(3.0)
    scheduler_for(base, flow_shift=8.0, skipped=2).set_timesteps(5)
    assert base.config.flow_shift == 3.0
    assert base.num_inference_steps is None

"""The noise schedule: diffusers' UniPC, whole or from the middle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan22.pipelines.schedule import first_step, noised, scheduler_for


def unipc(shift: float = 3.0):
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift)


def late(steps: int, shift: float, strength: float | None = None):
    return scheduler_for(unipc(), steps=steps, flow_shift=shift, strength=strength)


def walk(scheduler, latents, velocity):
    """The latents after all steps of a model that always answers `velocity`."""
    for timestep in scheduler.timesteps:
        (latents,) = scheduler.step(velocity, timestep, latents, return_dict=False)
    return latents


strengths = st.floats(0, 1, exclude_min=True)
shifts = st.floats(1, 12)


@pytest.mark.parametrize(
    ("strength", "step"), [(None, 0), (1.0, 0), (0.8, 1), (0.79, 2), (0.5, 2), (0.3, 3), (0.2, 3), (0.01, 3)]
)
def test_the_first_step_has_no_more_noise_than_the_strength(strength, step) -> None:
    assert first_step([0.999, 0.8, 0.5, 0.2], strength) == step


@given(steps=st.integers(1, 60), shift=shifts, strength=strengths)
def test_a_run_begins_as_near_below_its_strength_as_the_grid_allows(steps, shift, strength) -> None:
    scheduler = late(steps, shift, strength)
    assert len(scheduler.timesteps) == steps - scheduler.skipped >= 1
    sigmas = scheduler.sigmas.tolist()
    assert sigmas[scheduler.skipped] <= strength or scheduler.skipped == steps - 1
    assert scheduler.skipped == 0 or sigmas[scheduler.skipped - 1] > strength


@given(steps=st.integers(1, 60), shift=shifts, first=strengths, second=strengths)
def test_more_strength_never_runs_fewer_steps(steps, shift, first, second) -> None:
    weak, strong = (len(late(steps, shift, strength).timesteps) for strength in sorted((first, second)))
    assert weak <= strong


@given(steps=st.integers(1, 60), shift=shifts)
def test_full_strength_runs_every_step(steps, shift) -> None:
    assert late(steps, shift, 1.0).timesteps.equal(late(steps, shift).timesteps)
    assert len(late(steps, shift).timesteps) == steps


@given(steps=st.integers(1, 40), shift=shifts, strength=strengths)
def test_a_late_start_has_the_last_timesteps_of_the_whole_grid(steps, shift, strength) -> None:
    whole, part = unipc(shift), late(steps, shift, strength)
    whole.set_timesteps(steps)
    assert part.timesteps.equal(whole.timesteps[part.skipped :])
    assert part.sigmas.equal(whole.sigmas)


@given(steps=st.integers(1, 30), shift=shifts, strength=strengths)
def test_a_perfect_model_comes_from_any_start_to_the_clean_picture(steps, shift, strength) -> None:
    import torch

    clean, noise = torch.tensor([[[[[0.7]]]]]), torch.tensor([[[[[-1.3]]]]])
    scheduler = late(steps, shift, strength)
    start = noised(scheduler, clean=clean, noise=noise)
    assert torch.allclose(walk(scheduler, start, noise - clean), clean, atol=1e-4)


def test_a_whole_run_is_that_of_unipc() -> None:
    import torch

    latents, velocity = torch.randn(2, 1, 4, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    whole = unipc(5.0)
    whole.set_timesteps(6)
    assert walk(late(6, 5.0), latents, velocity.sin()).equal(walk(whole, latents, velocity.sin()))


@pytest.mark.parametrize(("steps", "shift"), [(50, 100.0), (200, 12.0)])
def test_first_timesteps_that_are_the_same_number_are_taken_in_order(steps, shift) -> None:
    """Looked up by their number, the first would be taken for the second, and the last step would find no sigma."""
    import torch

    scheduler = late(steps, shift)
    assert scheduler.timesteps[0] == scheduler.timesteps[1]
    noise = torch.ones(1, 4, 1, 2, 2)
    assert walk(scheduler, noise, noise).abs().max() < 1e-4


def test_the_model_s_own_scheduler_is_not_touched() -> None:
    base = unipc(3.0)
    scheduler_for(base, steps=5, flow_shift=8.0, strength=0.5)
    assert base.config.flow_shift == 3.0
    assert base.num_inference_steps is None


def test_plain_steps_are_eulers_on_the_grid_that_few_step_loras_know() -> None:
    import torch

    scheduler = scheduler_for(unipc(), steps=4, flow_shift=5.0, plain=True)
    assert scheduler.timesteps.tolist() == [999, 937, 833, 625]
    latents = wanted = torch.ones(1, dtype=torch.float64)
    sigmas = scheduler.sigmas.tolist()
    for step, timestep in enumerate(scheduler.timesteps):
        (latents,) = scheduler.step(latents**2, timestep, latents, return_dict=False)
        wanted = wanted + (sigmas[step + 1] - sigmas[step]) * wanted**2
    assert torch.allclose(latents, wanted, atol=1e-6)

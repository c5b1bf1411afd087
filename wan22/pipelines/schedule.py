"""The noise schedule of one request: UniPC with its shift, from the top or from the middle. Runs no model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def first_step(sigmas: Sequence[float], strength: float | None) -> int:
    """The number of the first step that runs, where `strength` is the share of noise to begin with; None is all of it.

    It is the first step whose sigma, its own share of noise, is no more than that. At least the last one runs, so that
    a tiny strength still gives a picture. `sigmas` fall, one for each step.
    """
    wanted = 1.0 if strength is None else strength
    return next((step for step, sigma in enumerate(sigmas) if sigma <= wanted), len(sigmas) - 1)


def scheduler_for(
    base: Any, *, steps: int, flow_shift: float, strength: float | None = None, plain: bool = False
) -> Any:
    """A fresh scheduler with the settings of `base` and the request's shift, set to the steps that `strength` leaves.

    Its `timesteps` are those that run, `skipped` says how many of the grid's first ones don't. Wan predicts flows on a
    shifted linear grid of sigmas, whatever else the model's folder says. `plain` steps are Euler's, which LoRAs for few
    steps are distilled for: UniPC of the first order without its corrections is the same (to 1e-7, measured).
    """
    settings = {"flow_shift": flow_shift, "prediction_type": "flow_prediction", "use_flow_sigmas": True}
    if plain:
        settings |= {"solver_order": 1, "disable_corrector": list(range(steps))}
    scheduler = _scheduler_class().from_config(base.config, **settings)
    scheduler.strength = strength
    scheduler.set_timesteps(steps)
    return scheduler


def noised(scheduler: Any, *, clean: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Latents as they are before the first step that runs: (1 - sigma) clean + sigma noise, the flow's straight path.

    From the top there is nothing but noise: the first sigma is 1, less an epsilon that only the solver needs.
    """
    if scheduler.skipped == 0:
        return noise
    sigma = scheduler.sigmas[scheduler.skipped].item()
    return (1 - sigma) * clean + sigma * noise


@cache
def _scheduler_class() -> Any:
    from diffusers import UniPCMultistepScheduler

    class LateUniPC(UniPCMultistepScheduler):
        """UniPC that gives out only the timesteps that `strength` leaves, and takes each step as on the whole grid.

        It sets its own first index: looked up by its integer timestep, as diffusers' image pipeline leaves it, the
        first step of a long grid with a high shift would be taken for the second, and the last would have no sigma.
        """

        strength: float | None = None
        skipped = 0
        timesteps: torch.Tensor
        _grid: torch.Tensor

        def set_timesteps(self, *args: Any, **kwargs: Any) -> None:
            """The whole grid for itself, its last part for the pipeline."""
            super().set_timesteps(*args, **kwargs)
            self._grid = self.timesteps
            self.skipped = first_step(self.sigmas[:-1].tolist(), self.strength)  # the last one, 0, is no step's
            self.timesteps = self._grid[self.skipped :]
            self.set_begin_index(0)

        def set_begin_index(self, begin_index: int = 0) -> None:
            """The pipeline's first step, counted on the whole grid."""
            super().set_begin_index(self.skipped + begin_index)

        def step(self, *args: Any, **kwargs: Any) -> Any:
            """A step of the whole grid."""
            self.timesteps = self._grid  # the order of the last steps is told by the length of the whole grid
            return super().step(*args, **kwargs)

    return LateUniPC

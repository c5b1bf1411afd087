"""The optimizer of all demo weights: Muon for what multiplies, AdamW for the rest.

Muon (K. Jordan, 2024) makes each update of a matrix orthogonal; here a convolution's kernel counts as the matrix
(out, in x places), which torch.optim.Muon refuses. In trials of this size it learned several times faster than AdamW.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # the published coefficients of the quintic iteration
_MOMENTUM = 0.95


class Muon:
    """Both optimizers over the parameters of one network, with one learning rate to schedule.

    The rate is AdamW's; Muon's updates have the same root mean square for it as AdamW's usually have, 0.2 (the scale of
    "Muon is Scalable for LLM Training", 2025).
    """

    def __init__(self, named: Iterable[tuple[str, torch.nn.Parameter]], *, adam_names: tuple[str, ...] = ()) -> None:
        import torch

        pairs = [(name, value) for name, value in named if value.requires_grad]
        self._matrices = [v for n, v in pairs if v.ndim >= 2 and not any(word in n for word in adam_names)]
        chosen = {id(value) for value in self._matrices}
        others = [value for _, value in pairs if id(value) not in chosen]
        self._momenta = [torch.zeros_like(value) for value in self._matrices]
        self._adam = torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.98), weight_decay=0.0)

    def step(self, rate: float) -> None:
        """Apply the gradients and clear them."""
        import torch

        with torch.no_grad():
            for value, momentum in zip(self._matrices, self._momenta, strict=True):
                if value.grad is not None:
                    momentum.lerp_(value.grad, 1 - _MOMENTUM)
                    value.add_(_orthogonal(value.grad.lerp(momentum, _MOMENTUM)), alpha=-rate)
                    value.grad = None
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.step()
        self._adam.zero_grad()

    def state(self) -> dict[str, Any]:
        """What `load` takes."""
        return {"momenta": self._momenta, "adam": self._adam.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where another one was."""
        for mine, theirs in zip(self._momenta, state["momenta"], strict=True):
            mine.copy_(theirs)
        self._adam.load_state_dict(state["adam"])


def _orthogonal(update: torch.Tensor) -> torch.Tensor:
    """The nearest (half-)orthogonal matrix, scaled to a root mean square of 0.2."""
    flat = update.flatten(1)
    turned = flat.T if flat.shape[0] > flat.shape[1] else flat
    x = turned / (turned.norm() + 1e-12)
    a, b, c = _NEWTON_SCHULZ
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    scaled = x * (0.2 * max(flat.shape) ** 0.5)
    return (scaled.T if turned is not flat else scaled).reshape(update.shape)

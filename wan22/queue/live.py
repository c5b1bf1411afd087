"""Where a run stands, as one value that is replaced whole. The clock and the publishing are `reporter`'s."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wan22.queue.progress import FOR_EACH_OUTPUT, SHARED, WEIGHTS, before_outputs
from wan22.tasks import Passes, Phase


@dataclass(frozen=True)
class Live:
    """Seconds are of the run's own clock, 0 at the claim."""

    phase: Phase | None = None
    phase_since: float = 0.0
    spent: tuple[tuple[Phase, float], ...] = ()  # seconds in the phases that are over
    output: int = 0  # that the next phases belong to
    phase_output: int = 0  # that the current phase belongs to
    outputs: int = 1
    at_once: int = 1  # outputs that the next denoising is of
    batch_begin: int = 0  # the first output of the last denoising
    batch_size: int = 1  # outputs that it is of
    tasks: int = 1  # whose denoising is one, this one included
    place: int = 0  # so many of them are decoded before this one
    ended_at: float | None = None  # when the current phase was over, where the next has to wait for other tasks
    fraction: float = 0.0  # of the current phase
    told_at: float = 0.0  # when the phase had come there
    progress: float = 0.0
    step: int | None = None
    total_steps: int | None = None
    fallbacks: tuple[str, ...] = ()
    passes: Passes | None = None

    def begun(self, phase: Phase, now: float) -> Live:
        """The next phase begins, for the current output."""
        spent = tuple(self.seconds(now).items())
        begun = replace(self, phase=phase, phase_since=now, spent=spent, phase_output=self.output, ended_at=None)
        if phase is Phase.DENOISE:
            begun = replace(begun, batch_begin=self.output, batch_size=min(self.at_once, self.outputs - self.output))
        return replace(begun, fraction=0.0, told_at=now).come_to(0.0, now)

    def over(self, now: float) -> Live:
        """The current phase is over, and the next one waits for other tasks."""
        return replace(self, ended_at=now)

    def come_to(self, fraction: float, now: float) -> Live:
        """The current phase has come to `fraction`; the progress of the whole never falls."""
        fraction = min(max(fraction, 0.0), 1.0)
        if self.phase is None:
            return self
        told = replace(self, fraction=fraction, told_at=self.told_at if fraction == self.fraction else now)
        return replace(told, progress=max(self.progress, told._reached()))

    def seconds(self, now: float) -> dict[Phase, float]:
        """Time in each phase so far, the current one included."""
        so_far = dict(self.spent)
        if self.phase is not None:
            until = now if self.ended_at is None else self.ended_at
            so_far[self.phase] = so_far.get(self.phase, 0.0) + until - self.phase_since
        return so_far

    def done(self, phase: Phase) -> float:
        """How many outputs have gone through a phase that comes for each; 1.5: the first, and half the next."""
        if self.phase not in FOR_EACH_OUTPUT:
            return 0.0
        here, asked = FOR_EACH_OUTPUT.index(self.phase), FOR_EACH_OUTPUT.index(phase)
        share = self.fraction if asked == here else float(asked < here)
        if phase is Phase.DENOISE:
            return self.batch_begin + self.batch_size * share
        return self.phase_output + share

    def _reached(self) -> float:
        """The progress of the whole, as the current phase has it."""
        if self.phase is None:
            return 0.0
        if self.phase not in FOR_EACH_OUTPUT:
            return before_outputs(self.phase, self.fraction)
        done = sum(WEIGHTS[phase] * self.done(phase) for phase in FOR_EACH_OUTPUT)
        return min(1.0, SHARED + done / self.outputs)

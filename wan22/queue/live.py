"""Where a run stands, as one value that is replaced whole. The clock and the publishing are `reporter`'s."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wan22.queue.progress import FOR_EACH_OUTPUT, overall
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
        begun = replace(self, phase=phase, phase_since=now, spent=spent, phase_output=self.output)
        return replace(begun, fraction=0.0, told_at=now).come_to(0.0, now)

    def come_to(self, fraction: float, now: float) -> Live:
        """The current phase has come to `fraction`; the progress of the whole never falls."""
        fraction = min(max(fraction, 0.0), 1.0)
        if self.phase is None:
            return self
        told_at = self.told_at if fraction == self.fraction else now
        reached = overall(self.phase, fraction, output=self.output, outputs=self.outputs)
        return replace(self, fraction=fraction, told_at=told_at, progress=max(self.progress, reached))

    def seconds(self, now: float) -> dict[Phase, float]:
        """Time in each phase so far, the current one included."""
        so_far = dict(self.spent)
        if self.phase is not None:
            so_far[self.phase] = so_far.get(self.phase, 0.0) + now - self.phase_since
        return so_far

    def done(self, phase: Phase) -> float:
        """How many outputs have gone through a phase that comes for each; 1.5: the first, and half the next."""
        if self.phase not in FOR_EACH_OUTPUT:
            return 0.0
        here, asked = FOR_EACH_OUTPUT.index(self.phase), FOR_EACH_OUTPUT.index(phase)
        return self.phase_output + (self.fraction if asked == here else float(asked < here))

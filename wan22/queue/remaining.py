"""How long a run that goes on will still take, from where it stands and what earlier ones taught. Pure."""

from __future__ import annotations

from wan22.queue.live import Live
from wan22.queue.progress import FOR_EACH_OUTPUT
from wan22.tasks import Parts, Phase

FAR_ENOUGH = 0.05  # of one output, or of loading: then a phase foretells itself better than earlier runs can


def remaining_s(live: Live, now: float, learned: Parts | None) -> float | None:
    """Seconds until the run ends: the rest of its current phase and those to come, for all outputs that are left.

    A phase that this run has been in far enough goes on at its own speed; for the others `learned` has the seconds of
    the whole task. None if that is None and such a phase is still to come: the share of a phase in the time differs
    too much between models, machines and sizes to be guessed.
    """
    by_phase = dict(zip(FOR_EACH_OUTPUT, learned[:3], strict=True)) if learned else {}
    left = [_phase_s(live, now, phase, by_phase.get(phase)) for phase in FOR_EACH_OUTPUT]
    left.append(_before_outputs_s(live, now, learned.rest if learned else None))
    known = [seconds for seconds in left if seconds is not None]
    return sum(known) if len(known) == len(left) else None


def _phase_s(live: Live, now: float, phase: Phase, learned_s: float | None) -> float | None:
    """Seconds left of a phase that comes for each output, in all of them."""
    done = live.done(phase)
    to_do, since_told = live.outputs - done, now - live.told_at if phase is live.phase else 0.0
    if to_do <= 0:
        return 0.0
    if done >= FAR_ENOUGH:
        per_output = live.seconds(live.told_at).get(phase, 0.0) / done
    elif learned_s is not None:
        per_output = learned_s / live.outputs
    else:
        return None
    return max(0.0, per_output * to_do - since_told)


def _before_outputs_s(live: Live, now: float, learned_s: float | None) -> float | None:
    """Seconds left of what comes once, before the first output; of loading only what it has itself foretold."""
    if live.phase in FOR_EACH_OUTPUT:
        return 0.0
    if learned_s is None:
        return None
    loading_s = live.seconds(now).get(Phase.LOADING, 0.0)
    left_s = max(0.0, learned_s - (now - loading_s))
    if live.phase is not Phase.LOADING or live.fraction < FAR_ENOUGH:
        return left_s
    until_told = live.told_at - live.phase_since
    return left_s + max(0.0, until_told * (1 - live.fraction) / live.fraction - (now - live.told_at))

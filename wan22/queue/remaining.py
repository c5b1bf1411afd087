"""How long a run that goes on will still take, from where it stands and what earlier ones taught. Pure."""

from __future__ import annotations

from wan22.queue.live import Live
from wan22.queue.progress import FOR_EACH_OUTPUT, WEIGHTS
from wan22.tasks import Parts, Phase

FAR_ENOUGH = 0.05  # of one output, or of loading: then a phase foretells itself better than earlier runs can


def remaining_s(live: Live, now: float, learned: Parts | None) -> float | None:
    """Seconds until the run ends: the rest of its current phase and those to come, for all outputs that are left, and
    what tasks that are denoised with it take before it.

    A phase that this run has been in far enough goes on at its own speed; for the others `learned` has the seconds of
    the whole task. In a first run, which nothing was learned for, the phases after denoising are guessed to be to it as
    their shares of the bar: with real weights denoising is nearly all. None until denoising is far enough for that.
    """
    by_phase = dict(zip(FOR_EACH_OUTPUT, learned[:3], strict=True)) if learned else {}
    if by_phase:
        by_phase[Phase.DENOISE] *= live.tasks
    each_s = {phase: _per_output_s(live, phase, by_phase.get(phase)) for phase in FOR_EACH_OUTPUT}
    before_s = _before_outputs_s(live, now, learned.rest if learned else None)
    denoise_s = each_s[Phase.DENOISE]
    if before_s is None or denoise_s is None:
        return None
    guess_s = {phase: denoise_s * WEIGHTS[phase] / WEIGHTS[Phase.DENOISE] for phase in FOR_EACH_OUTPUT}
    sure_s = {phase: _or(each_s[phase], guess_s[phase]) for phase in FOR_EACH_OUTPUT}
    own_s = before_s + sum(_left_s(live, now, phase, sure_s[phase]) for phase in FOR_EACH_OUTPUT)
    return own_s + _others_s(live, now, sure_s[Phase.DECODE] + sure_s[Phase.ENCODE])


def _per_output_s(live: Live, phase: Phase, learned_s: float | None) -> float | None:
    """Seconds that a phase takes for one output, as far as that is known."""
    done = live.done(phase)
    if done >= FAR_ENOUGH:
        return live.seconds(live.told_at).get(phase, 0.0) / done
    return None if learned_s is None else learned_s / live.outputs


def _left_s(live: Live, now: float, phase: Phase, per_output_s: float) -> float:
    """Seconds left of a phase that comes for each output, in all of them."""
    since_told = now - live.told_at if phase is live.phase else 0.0
    return max(0.0, per_output_s * (live.outputs - live.done(phase)) - since_told)


def _others_s(live: Live, now: float, each_s: float) -> float:
    """Seconds until those that are decoded before this one are through."""
    if live.phase in (Phase.DECODE, Phase.ENCODE):
        return 0.0
    waited_s = 0.0 if live.ended_at is None else now - live.ended_at
    return max(0.0, live.place * each_s - waited_s)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


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

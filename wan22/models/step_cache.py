"""Whether a request gets a step cache, and with which thresholds. What it does is `pipelines.step_cache`'s."""

from __future__ import annotations

from wan22.errors import InvalidRequest
from wan22.models.variants import Variant
from wan22.tasks import Choice, Request


def step_cache_of(request: Request, variant: Variant) -> tuple[tuple[float, ...] | None, tuple[Choice, ...]]:
    """The threshold for each transformer, and the reason; none, and nothing said, where none was asked for.

    It is never taken unasked, since it changes the picture. Raises InvalidRequest where it can't be had.
    """
    if not request.step_cache:
        return None, ()
    if request.preset == "fast":
        what = "can't be had with preset fast, whose few steps are all unlike each other: leave one of the two out."
        raise InvalidRequest.of("step_cache", what, request.step_cache)
    thresholds = variant.defaults.step_cache
    choice = " and ".join(f"{threshold:g}" for threshold in thresholds)
    return thresholds, (Choice(what="step_cache", choice=choice, why=_why(variant)),)


def _why(variant: Variant) -> str:
    spares = variant.defaults.step_cache_spares
    if spares is None:
        return "as asked; what it spares of these weights was not measured yet: `passes` of the task will tell"
    return f"as asked; with the default steps {spares:.0%} of the passes were spared, all but their first block"

"""How many videos are denoised together: as many as make each of them faster and fit. Pure.

On a GPU whose published figures are known the cost model decides: a pass over several videos reads the weights once,
which is most of the time where they are streamed and frames are few, and none of it where computing takes longer.
Elsewhere the length of the sequence does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wan22.tasks import Choice

PAYS = 1.1
"""A video must be faster than alone by this factor, since the first of a batch comes later."""

NEAR = 1.02
"""A larger batch is not worth it for less."""

FEW_TOKENS = 512
"""In a batch. With the demo weights on a CPU, videos of 32 to 140 tokens were mostly 1.1 to 1.6 times as fast in
batches of so many, on one thread and on two; of more, one thread gained less. The 560 tokens of A14B's own size
gained nothing in twos on one thread, and lost a tenth in eights: what is worked on no longer fits the caches.
(`python scripts/bench/serve.py --steps`)
"""


@dataclass(frozen=True)
class Batching:
    """What is known of a kind of video when the size of its batches is chosen."""

    tokens: int  # of the transformer's sequence, for one video
    most: int  # videos that the settings allow
    video_s: Callable[[int], float | None]  # denoising of each of so many together; None where nobody knows
    fits: Callable[[int], bool]  # so many in memory, with room to spare


def choose_batch(known: Batching) -> tuple[int, Choice]:
    """How many videos are denoised together at most, with the reason."""
    at_once, why = _chosen(known)
    return at_once, Choice(what="batch", choice=str(at_once), why=why)


def _chosen(known: Batching) -> tuple[int, str]:
    if known.most == 1:
        return 1, "the settings, the request or its step cache allow no more"
    alone_s = known.video_s(1)
    if alone_s is None:
        return _by_tokens(known)
    sizes = [size for size in range(2, known.most + 1) if known.fits(size)]
    if not sizes:
        return 1, "memory holds no second one"
    seconds = {size: known.video_s(size) or alone_s for size in sizes}
    best_s = min(seconds.values())
    if alone_s < PAYS * best_s:
        return 1, "computing takes all of the time, so that together none would be faster"
    at_once = next(size for size in sizes if seconds[size] <= NEAR * best_s)
    return at_once, f"weights are read once for all: each takes {seconds[at_once] / alone_s:.0%} of its time alone"


def _by_tokens(known: Batching) -> tuple[int, str]:
    said = f"{known.tokens} token{'s' if known.tokens > 1 else ''} a video"
    wanted = min(known.most, FEW_TOKENS // known.tokens)
    at_once = next((size for size in range(wanted, 1, -1) if known.fits(size)), 1)
    if at_once > 1:
        return at_once, f"{said} are so few that several together are faster"
    return 1, f"{said} keep the device busy" if wanted < 2 else "memory holds no second one"

"""A run in parts, each of which takes its time by a rule of its own. Says how much; how long is learned by `queue`."""

from __future__ import annotations

from typing import NamedTuple


class Parts(NamedTuple):
    """One figure for each part of a run, of one task or of several: units of work, or the seconds they take."""

    denoise: float  # work: operations of all passes, memory traffic as such; of demo weights passes x pixels x frames
    decode: float  # work: operations of the VAE; of demo weights rendered pixels x rendered frames
    encode: float  # work: delivered pixels x delivered frames; of the time, what is left after the last decoded frame
    rest: float  # work: 1 for each task; prompts and pictures are encoded once, whatever the size


class Seen(NamedTuple):
    """Seconds that earlier tasks foretell for one."""

    seconds: Parts
    is_same_size: bool  # those tasks were of its size; else what they took is scaled by the work

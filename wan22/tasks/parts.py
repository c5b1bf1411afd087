"""A run in parts, each of which takes its time by a rule of its own. Says how much; how long is learned by `queue`."""

from __future__ import annotations

from typing import NamedTuple


class Parts(NamedTuple):
    """One figure for each part of a run, of one task or of several: units of work, or the seconds they take."""

    denoise: float  # work: steps x passes through the transformer x rendered pixels x rendered frames
    decode: float  # work: rendered pixels x rendered frames
    encode: float  # work: delivered pixels x delivered frames; of the time, what is left after the last decoded frame
    rest: float  # work: 1 for each task; prompts and pictures are encoded once, whatever the size

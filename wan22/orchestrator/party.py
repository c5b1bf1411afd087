"""The tasks that share a run: speaks to all of them at once, and lets each end by itself. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from wan22.errors import Cancelled
from wan22.queue.claim import Claim
from wan22.tasks import Artifact, Passes, Phase, Task


@dataclass(frozen=True)
class RunResult:
    """What a run gave."""

    outputs: tuple[Artifact, ...]
    peak_vram_bytes: int | None


Ended = Callable[[Claim, "RunResult | Exception"], None]
"""Told how the run of a claim ended, once for each."""


@dataclass(frozen=True)
class Video:
    """One output of one task, to be denoised with others."""

    claim: Claim
    index: int  # among the outputs of its task
    at_once: int = 1  # of them are denoised with it

    @property
    def seed(self) -> int:
        """Of its noise."""
        return self.claim.task.request.seeds[self.index]


class Party:
    """The claims of one run that have not ended. A `tasks.Reporter` for what is done for all of them together."""

    def __init__(self, claims: Sequence[Claim], ended: Ended, *, discard: Callable[[Task], None]) -> None:
        self.claims = tuple(claims)
        self.first = claims[0].task  # tells what all share, also once it has ended
        self._ended = ended
        self._discard = discard
        self.at_once = 1
        """Videos that are being denoised together now."""
        self._made: dict[Claim, list[Artifact]] = {claim: [] for claim in claims}

    def batches(self, at_once: int) -> Iterator[tuple[Video, ...]]:
        """The videos that are to be denoised together, of those whose tasks have not ended by then."""
        every = [Video(claim, index) for claim in self.claims for index in range(claim.task.request.num_videos)]
        for begin in range(0, len(every), at_once):
            batch = [video for video in every[begin : begin + at_once] if video.claim in self.claims]
            if batch:
                yield self._told(batch)

    def wrote(self, video: Video, artifact: Artifact, *, peak_vram_bytes: int | None) -> None:
        """A file is finished; with its last one a task has ended well."""
        made = self._made[video.claim]
        made.append(artifact)
        if len(made) == video.claim.task.request.num_videos:
            self._leave(video.claim, RunResult(tuple(made), peak_vram_bytes))

    def end(self, claim: Claim, error: Exception) -> None:
        """The task ends, without its files, and the others go on."""
        if claim in self.claims:
            self._discard(claim.task)
            self._leave(claim, error)

    def discard(self) -> None:
        """Remove the files of all that have not ended."""
        for claim in self.claims:
            self._made[claim].clear()
            self._discard(claim.task)

    def fell_back(self, said: str) -> None:
        """Memory ran out, and the run begins again with less."""
        for claim in self.claims:
            claim.reporter.fell_back(said)

    def passed(self, passes: Passes) -> None:
        """So many passes have been counted, of the whole run."""
        for claim in self.claims:
            claim.reporter.passed(passes)

    def wait(self) -> None:
        """The current phase is over for all; what follows comes for one after the other."""
        for claim in self.claims:
            claim.reporter.wait()

    # As a reporter

    def check(self) -> None:
        """End those that are to stop. Raises Cancelled once nobody is left."""
        for claim in self.claims:
            try:
                claim.reporter.check()
            except Cancelled as error:
                if len(self.claims) == 1:
                    raise
                self.end(claim, error)

    def phase(self, phase: Phase) -> None:
        """The named phase begins for all."""
        for claim in self.claims:
            claim.reporter.phase(phase)

    def progress(self, fraction: float, *, step: int | None = None, total_steps: int | None = None) -> None:
        """The current phase has come to `fraction` for all."""
        for claim in self.claims:
            claim.reporter.progress(fraction, step=step, total_steps=total_steps)

    def preview(self, jpeg: bytes, *, width: int, height: int) -> None:
        """A picture of what all share."""
        for claim in self.claims:
            claim.reporter.preview(jpeg, width=width, height=height)

    def _leave(self, claim: Claim, end: RunResult | Exception) -> None:
        self.claims = tuple(one for one in self.claims if one is not claim)
        self._ended(claim, end)

    def _told(self, batch: Sequence[Video]) -> tuple[Video, ...]:
        """The batch, of which each reporter knows."""
        claims = list(dict.fromkeys(video.claim for video in batch))
        for place, claim in enumerate(claims):
            own = [video for video in batch if video.claim is claim]
            claim.reporter.share(len(claims), place=place)
            claim.reporter.output(own[0].index, claim.task.request.num_videos, at_once=len(own))
        return tuple(replace(video, at_once=sum(one.claim is video.claim for one in batch)) for video in batch)

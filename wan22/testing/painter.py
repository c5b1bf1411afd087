"""A painter in the place of the model. Everything but the pictures is real: queue, events, encoder and files."""

from __future__ import annotations

import time

import numpy as np

from wan22.media.outputs import Outputs
from wan22.orchestrator.party import RunResult
from wan22.queue.claim import Claim
from wan22.tasks import Artifact, Phase


class Painter:
    """Carries out a task by painting a moving gradient; `step_s` seconds go by in each denoising step."""

    def __init__(self, outputs: Outputs, *, step_s: float = 0.0) -> None:
        self._outputs = outputs
        self._step_s = step_s

    def __call__(self, claim: Claim) -> RunResult:
        """As the orchestrator's run: all phases reported, cancel honoured, whole files made."""
        task, reporter = claim.task, claim.reporter
        for phase in (Phase.LOADING, Phase.TEXT_ENCODE):
            reporter.phase(phase)
            reporter.progress(1.0)
        made = []
        for index, seed in enumerate(task.request.seeds):
            reporter.output(index, task.request.num_videos)
            self._denoise(claim)
            made.append(self._paint(claim, index, seed))
        return RunResult(tuple(made), None)

    def _denoise(self, claim: Claim) -> None:
        steps = claim.task.request.steps
        claim.reporter.phase(Phase.DENOISE)
        for step in range(1, steps + 1):
            time.sleep(self._step_s)
            claim.reporter.check()
            claim.reporter.progress(step / steps, step=step, total_steps=steps)

    def _paint(self, claim: Claim, index: int, seed: int) -> Artifact:
        task, reporter, render = claim.task, claim.reporter, claim.task.plan.render
        rows, columns = np.mgrid[0 : render.height, 0 : render.width]
        reporter.phase(Phase.DECODE)
        with self._outputs.create(task.task_id, index, claim.fence, request=task.request, render=render) as writer:
            for frame in range(render.num_frames):
                reporter.check()
                channels = (columns + 4 * frame + seed, rows + 2 * frame, columns + rows)
                writer.write(np.stack(channels, axis=-1).astype(np.uint8), check=reporter.check)
                reporter.progress((frame + 1) / render.num_frames)
            reporter.phase(Phase.ENCODE)
            return writer.finish(seed, check=reporter.check, progress=reporter.progress)

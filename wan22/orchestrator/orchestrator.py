"""Carries out one task: lease the model, encode, denoise, decode into the encoder, name the files.

The phases themselves are `pipelines`, the files `media`, the loaded models `residency`; here is only their order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from PIL.Image import Image

from wan22.errors import ModelCorrupt, OutOfMemory, ServerFault
from wan22.media.outputs import Outputs
from wan22.media.uploads import Uploads
from wan22.models import demo_weights
from wan22.models.loras.folders import Loras
from wan22.models.loras.uses import files_of
from wan22.models.variants import Models
from wan22.orchestrator.residency import ModelKey, Residency, Resident
from wan22.orchestrator.rungs import Rung, rung_below
from wan22.pipelines.adapters import Adapter, put_on
from wan22.pipelines.device_memory import free_bytes
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.loader import load
from wan22.pipelines.phases import decode, denoise, encode_image, encode_text
from wan22.pipelines.picture_cache import NO_PICTURES, PictureCache
from wan22.pipelines.prompt_cache import NO_CACHE, PromptCache
from wan22.pipelines.step_cache import step_cached
from wan22.queue.reporter import RunReporter
from wan22.tasks import Artifact, ImageRef, ModelType, Passes, Phase, Plan, Reporter, Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """What a run gave."""

    outputs: tuple[Artifact, ...]
    peak_vram_bytes: int | None


class Orchestrator:
    """Runs tasks, one at a time, in the thread that calls `run`."""

    def __init__(
        self,
        models: Models,
        residency: Residency[LoadedModel],
        outputs: Outputs,
        uploads: Uploads,
        *,
        loras: Loras | None = None,
        prompts: PromptCache = NO_CACHE,
        pictures: PictureCache = NO_PICTURES,
    ) -> None:
        self._models = models
        self._prompts = prompts
        self._pictures = pictures
        self._loras = loras or Loras(())
        self._residency = residency
        self._outputs = outputs
        self._uploads = uploads

    def run(self, task: Task, fence: int, reporter: RunReporter) -> RunResult:
        """Carry out the task and give its finished files; blocks for as long as that takes.

        Where memory runs out it is tried again with less, as `rungs` has it, and the reporter is told. Raises Cancelled
        when the reporter says so, and a ServerFault for what we know how to name. In both cases, and for every other
        exception, the task's files are gone.
        """
        plan = task.plan
        while True:
            try:
                return self._attempt(task, plan, fence, reporter)
            except OutOfMemory:
                rung = self._rung_below(task, plan, reporter)
                if rung is None:
                    raise
            except ModelCorrupt:
                self._drop_damaged()
                raise
            # outside of the handler, whose error keeps the frames of the run, and with them what did not fit
            self._residency.close()
            plan = rung.plan
            reporter.fell_back(rung.said)
            logger.warning("Memory ran out. %s", rung.said, extra={"action": "fallback", "task_id": task.task_id})

    def _attempt(self, task: Task, plan: Plan, fence: int, reporter: RunReporter) -> RunResult:
        reporter.phase(Phase.LOADING)
        with ExitStack() as undo:
            undo.callback(self._discard, task)
            wanted = self._wanted(task.request.model_type, plan, reporter)
            self._leave_room(wanted[0], plan)
            with self._residency.lease(*wanted) as model:
                model.reset_peak()
                put_on(model, self._adapters(task, len(model.experts)))
                with model.run_as(plan), _step_cached(model, plan, reporter):
                    artifacts = self._make(model, task, fence, reporter)
                peak = model.peak_vram_bytes()
            undo.pop_all()
        return RunResult(artifacts, peak)

    def load(self, model_type: ModelType, plan: Plan, reporter: Reporter) -> Resident[LoadedModel]:
        """Have the model in memory as `plan` wants it, before any task does; in the thread that calls `run`.

        Does nothing where it is there. Raises ModelMissing, ModelCorrupt, OutOfMemory, and Cancelled by the reporter.
        """
        wanted = self._wanted(model_type, plan, reporter)
        self._leave_room(wanted[0], plan)
        resident = self._residency.hold(*wanted)
        try:
            resident.model.bring_text_encoder(reporter)
        except ModelCorrupt:
            self._drop_damaged()
            raise
        return resident

    def _leave_room(self, key: ModelKey, plan: Plan) -> None:
        """What the planner counted on: that all GPU memory which models of ours hold can be had."""
        if plan.predicted_peak_vram_bytes and plan.device.startswith("cuda"):
            self._residency.leave_room(key, plan.predicted_peak_vram_bytes, lambda: free_bytes(plan.device))

    def _rung_below(self, task: Task, plan: Plan, reporter: Reporter) -> Rung | None:
        key, *_ = self._wanted(task.request.model_type, plan, reporter)
        loaded = {resident.key for resident in self._residency.residents()}
        return rung_below(plan, has_others=bool(loaded - {key}), is_loaded=key in loaded)

    def _drop_damaged(self) -> None:
        for resident in self._residency.residents():
            if resident.model.is_damaged:
                self._residency.drop(resident.key)

    def _make(self, model: LoadedModel, task: Task, fence: int, reporter: RunReporter) -> tuple[Artifact, ...]:
        request, render = task.request, task.plan.render
        text = encode_text(model, request, reporter, self._prompts)
        picture, last_picture = self._open(request.image), self._open(request.last_image)
        image = encode_image(model, request, render, picture, last_picture, reporter=reporter, cache=self._pictures)
        made = []
        for index, seed in enumerate(request.seeds):
            reporter.output(index, request.num_videos)
            latents = denoise(model, request, render, text, image, seed=seed, reporter=reporter)
            with self._outputs.create(task.task_id, index, fence, request=request, render=render) as writer:
                for frame in decode(model, latents, reporter):
                    writer.write(frame, check=reporter.check)
                reporter.phase(Phase.ENCODE)
                made.append(writer.finish(seed, check=reporter.check, progress=reporter.progress))
        return tuple(made)

    def _adapters(self, task: Task, experts: int) -> list[Adapter]:
        return [
            Adapter(number, file, weight)
            for use in task.request.loras
            for number, file, weight in files_of(use, self._loras, experts)
        ]

    def _discard(self, task: Task) -> None:
        """Remove the files of a run that did not end well; that it can't be done must not hide how the run ended."""
        try:
            self._outputs.remove(task.task_id)
        except ServerFault:
            logger.exception("Files stayed behind.", extra={"action": "output_stayed", "task_id": task.task_id})

    def _open(self, ref: ImageRef | None) -> Image | None:
        return self._uploads.open(ref) if ref else None

    def _wanted(
        self, model_type: ModelType, plan: Plan, reporter: Reporter
    ) -> tuple[ModelKey, int, Callable[[], LoadedModel]]:
        """What residency is asked for: which model, how large it will be, and how it is loaded."""
        variant = self._models.named(model_type, plan.variant)

        def load_it() -> LoadedModel:
            if variant.is_demo:
                demo_weights.verify(variant.path)
            return load(variant.parts, model_type, plan=plan, reporter=reporter, cure=variant.mend)

        stamp = variant.parts.stamp(variant.spec.components)
        return key_of(model_type, plan, stamp), self._models.loaded_bytes(variant, plan.precision), load_it


@contextmanager
def _step_cached(model: LoadedModel, plan: Plan, reporter: RunReporter) -> Iterator[None]:
    """The model sparing passes where the plan says so, and at the end the reporter told how many."""
    if plan.step_cache is None:
        yield
        return
    with step_cached(model.experts, plan.step_cache) as spared:
        yield
    reporter.passed(Passes(total=spared.passes, spared=spared.spared))


def key_of(model_type: ModelType, plan: Plan, stamp: str) -> ModelKey:
    """The loaded model that a task with this plan needs, of files with this stamp."""
    return ModelKey(
        model_type=model_type.value,
        variant=plan.variant,
        device=plan.device,
        precision=tuple(sorted(plan.precision.items())),
        offload=plan.offload,
        stamp=stamp,
    )

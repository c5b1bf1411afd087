"""Carries out tasks that share a run: lease the model, encode, denoise, decode into the encoder, name the files.

The phases themselves are `pipelines`, the files `media`, the loaded models `residency`; here is only their order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from PIL.Image import Image

from wan22.errors import ModelCorrupt, OutOfMemory, ServerFault
from wan22.media.outputs import Outputs
from wan22.media.uploads import Uploads
from wan22.models import demo_weights
from wan22.models.loras.folders import Loras
from wan22.models.loras.uses import files_of
from wan22.models.variants import Models
from wan22.orchestrator.party import Ended, Party, Video
from wan22.orchestrator.residency import ModelKey, Residency, Resident
from wan22.orchestrator.rungs import Rung, rung_below
from wan22.pipelines.adapters import Adapter, put_on
from wan22.pipelines.device_memory import free_bytes
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.loader import load
from wan22.pipelines.phases import ImageCondition, Take, decode, denoise_together, encode_image, encode_text
from wan22.pipelines.picture_cache import NO_PICTURES, PictureCache
from wan22.pipelines.prompt_cache import NO_CACHE, PromptCache
from wan22.pipelines.step_cache import Spared, step_cached
from wan22.queue.claim import Claim
from wan22.tasks import Artifact, ImageRef, ModelType, Passes, Phase, Plan, Reporter, Task

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)


class Orchestrator:
    """Runs tasks, those of one run at a time, in the thread that calls `run`."""

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

    def run(self, claims: Sequence[Claim], ended: Ended) -> None:
        """Carry out tasks that share a run, and tell of each when its files are finished; blocks until all have ended.

        What they share the first one's plan tells. Where memory runs out the rest is tried again with less, as `rungs`
        has it, and the reporters are told. One that is cancelled, or fails by itself, ends alone, and the others go on.
        Raises what ends all that are left: a ServerFault for what we know how to name, or Cancelled. Files of a task
        that does not end well are gone before that is told.
        """
        party = Party(claims, ended, discard=self._discard)
        plan = claims[0].task.plan
        while party.claims:
            try:
                self._attempt(party, plan)
            except OutOfMemory:
                rung = self._rung_below(party, plan)
                if rung is None:
                    raise
            except ModelCorrupt:
                self._drop_damaged()
                raise
            else:
                return
            # outside of the handler, whose error keeps the frames of the run, and with them what did not fit
            self._residency.close()
            plan = rung.plan
            party.at_once = 1
            party.fell_back(rung.said)
            logger.warning(
                "Memory ran out. %s", rung.said, extra={"action": "fallback", "task_id": party.first.task_id}
            )

    def _attempt(self, party: Party, plan: Plan) -> None:
        party.phase(Phase.LOADING)
        try:
            wanted = self._wanted(party.first.request.model_type, plan, party)
            self._leave_room(wanted[0], plan)
            with self._residency.lease(*wanted) as model:
                model.reset_peak()
                put_on(model, self._adapters(party.first, len(model.experts)))
                with model.run_as(plan), _step_cached(model, plan) as spared:
                    self._make(model, party, plan, spared)
        finally:
            party.discard()

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

    def _rung_below(self, party: Party, plan: Plan) -> Rung | None:
        key, *_ = self._wanted(party.first.request.model_type, plan, party)
        loaded = {resident.key for resident in self._residency.residents()}
        return rung_below(plan, at_once=party.at_once, has_others=bool(loaded - {key}), is_loaded=key in loaded)

    def _drop_damaged(self) -> None:
        for resident in self._residency.residents():
            if resident.model.is_damaged:
                self._residency.drop(resident.key)

    def _make(self, model: LoadedModel, party: Party, plan: Plan, spared: Spared | None) -> None:
        """All that is still to be made, as many videos at once as the plan has it."""
        is_free = party.first.request.enable_optimization
        prompts, kept = (self._prompts, self._pictures) if is_free else (NO_CACHE, NO_PICTURES)
        texts = {claim: encode_text(model, claim.task.request, party, prompts) for claim in party.claims}
        request, render = party.first.request, party.first.plan.render
        pictures = self._open(request.image), self._open(request.last_image)
        image = encode_image(model, request, render, *pictures, reporter=party, cache=kept)
        for videos in party.batches(plan.at_once):
            takes = {video: Take(texts[video.claim], video.seed, video.claim.reporter) for video in videos}
            latents = self._denoise(model, party, takes, image)
            if spared:
                party.passed(Passes(total=spared.passes, spared=spared.spared))
            for video in videos:
                party.check()
                if (
                    video in latents and video.claim in party.claims
                ):  # its task may have ended with another of its videos
                    self._write(model, party, video, latents.pop(video))

    def _denoise(
        self, model: LoadedModel, party: Party, takes: dict[Video, Take], image: ImageCondition | None
    ) -> dict[Video, torch.Tensor]:
        claim_of = {take: video.claim for video, take in takes.items()}
        party.at_once = len(takes)
        found = denoise_together(
            model,
            party.first.request,
            party.first.plan.render,
            list(takes.values()),
            image,
            dropped=lambda take, error: party.end(claim_of[take], error),
        )
        party.at_once = 1
        party.wait()
        return {video: found[take] for video, take in takes.items() if take in found}

    def _write(self, model: LoadedModel, party: Party, video: Video, latents: torch.Tensor) -> None:
        """Decode into the video's file. What goes wrong with that ends its task alone, unless memory ran out."""
        claim = video.claim
        try:
            party.wrote(video, self._file_of(model, video, latents), peak_vram_bytes=model.peak_vram_bytes())
        except OutOfMemory:
            raise
        except Exception as error:  # whatever a file or one clip raises, it says nothing of the others
            if len(party.claims) == 1:
                raise
            party.end(claim, error)

    def _file_of(self, model: LoadedModel, video: Video, latents: torch.Tensor) -> Artifact:
        task, reporter = video.claim.task, video.claim.reporter
        reporter.output(video.index, task.request.num_videos, at_once=video.at_once)
        with self._outputs.create(
            task.task_id, video.index, video.claim.fence, request=task.request, render=task.plan.render
        ) as writer:
            for frame in decode(model, latents, reporter):
                writer.write(frame, check=reporter.check)
            reporter.phase(Phase.ENCODE)
            return writer.finish(video.seed, check=reporter.check, progress=reporter.progress)

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


def _step_cached(model: LoadedModel, plan: Plan) -> AbstractContextManager[Spared | None]:
    """The model sparing passes where the plan says so, counted."""
    return nullcontext() if plan.step_cache is None else step_cached(model.experts, plan.step_cache)


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

"""One run with the demo weights: whole files when it ends well, none when it does not, models kept for the next."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support import samples
from support.loras import lora_for
from support.videos import decode_video, probe_video

from wan22.errors import Cancelled, DiskFull, ModelCorrupt, ModelMissing, OutOfMemory
from wan22.hardware.probe import probe
from wan22.media.outputs import Outputs
from wan22.media.uploads import Uploads
from wan22.models.demo_weights import SHIPPED
from wan22.models.loras.folders import Loras
from wan22.models.variants import Models
from wan22.orchestrator.orchestrator import Orchestrator, key_of
from wan22.orchestrator.party import RunResult
from wan22.orchestrator.planning import Planner
from wan22.orchestrator.residency import Residency
from wan22.orchestrator.rungs import SLICE_TOKENS, rung_below
from wan22.pipelines.kept import Kept
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.phases import denoise_together
from wan22.pipelines.prompt_cache import NO_CACHE, PromptCache
from wan22.queue.claim import Claim
from wan22.queue.feed import Feed
from wan22.queue.queue import Queue
from wan22.settings import DeviceSettings, ModelsSettings, QueueSettings
from wan22.store import Store
from wan22.tasks import Draft, ModelType, Silent


class Studio:
    """An orchestrator with all that it needs, over one folder."""

    def __init__(self, home: Path, demos: Path = SHIPPED, prompts: PromptCache = NO_CACHE) -> None:
        self.home = home
        self.store = Store.open(None)
        self.queue = Queue(self.store, Feed(self.store), QueueSettings())
        models = Models(ModelsSettings(), home / "models", demos=demos)
        self.outputs = Outputs(home / "outputs")
        self.residency: Residency[LoadedModel] = Residency(10**9, lambda what, key: None)
        loras, uploads = Loras((home / "loras",)), Uploads(home / "uploads")
        self.orchestrator = Orchestrator(models, self.residency, self.outputs, uploads, loras=loras, prompts=prompts)
        self._planner = Planner(models, DeviceSettings(precision="fp32"), probe, loras=loras)

    def claim(self, **changes: object) -> Claim:
        """A claimed task of a few steps."""
        small = {"width": 64, "height": 64, "num_frames": 5, "steps": 2, "prompt": "a cat", "seed": 1}
        draft = Draft.model_validate({"model_type": ModelType.T2V_A14B, **small, **changes})
        self.queue.submit(*self._planner.prepare(draft))
        claim = self.queue.claim()
        assert claim is not None
        return claim

    def files(self) -> list[str]:
        """The names of all output files."""
        return sorted(path.name for path in (self.home / "outputs").rglob("*") if path.is_file())


@contextmanager
def opened(home: Path, demos: Path = SHIPPED, prompts: PromptCache = NO_CACHE) -> Iterator[Studio]:
    studio = Studio(home, demos, prompts)
    yield studio
    studio.residency.close()
    studio.store.close()


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with opened(tmp_path) as studio:
        yield studio


def run(studio: Studio, claim: Claim) -> list[str]:
    """The names of the files of a task that runs alone; raises what ended it."""
    (end,) = run_together(studio, claim)
    if isinstance(end, Exception):
        raise end
    return [artifact.file_name for artifact in end.outputs]


def run_together(studio: Studio, *claims: Claim) -> list[RunResult | Exception]:
    """How each of the tasks of one run ended."""
    ends: dict[Claim, RunResult | Exception] = {}
    studio.orchestrator.run(claims, ends.__setitem__)
    return [ends[claim] for claim in claims]


def test_a_run_leaves_whole_files_and_the_model_loaded(studio: Studio) -> None:
    claim = studio.claim(num_videos=2)
    assert run(studio, claim) == ["0.mp4", "1.mp4"]
    assert studio.files() == ["0.mp4", "0.thumb.jpg", "1.mp4", "1.thumb.jpg"]
    assert probe_video(studio.outputs.path(claim.task.task_id, "1.mp4")) == (64, 64, 5, 16)
    (resident,) = studio.residency.residents()
    assert resident.key == key_of(ModelType.T2V_A14B, claim.task.plan, resident.key.stamp)


def test_the_record_tells_how_many_passes_a_step_cache_spared(studio: Studio) -> None:
    claim = studio.claim(step_cache=True, steps=10, num_videos=2)
    run(studio, claim)
    passes = claim.reporter.merge(claim.task).passes
    assert passes is not None
    assert (passes.total, 0 < passes.spared < passes.total / 2) == (2 * 2 * 10, True)
    assert "step_cache" in [choice.what for choice in claim.task.plan.choices]
    assert claim.task.plan.at_once == 1, "what is spared must not depend on others"
    studio.queue.fail(claim, samples.FAILURE)
    assert studio.queue.get(claim.task.task_id).passes == passes


def test_without_one_nothing_is_said_of_passes(studio: Studio) -> None:
    claim = studio.claim(step_cache=False)
    run(studio, claim)
    assert claim.reporter.merge(claim.task).passes is None
    assert claim.task.plan.step_cache is None


def test_a_model_that_was_loaded_ahead_is_the_one_that_the_task_uses(studio: Studio) -> None:
    claim = studio.claim()
    ahead = studio.orchestrator.load(ModelType.T2V_A14B, claim.task.plan, Silent(lambda: None))
    assert (ahead.leases, ahead.model.device) == (0, "cpu")
    assert studio.orchestrator.load(ModelType.T2V_A14B, claim.task.plan, Silent(lambda: None)) is ahead
    run(studio, claim)
    assert studio.residency.residents() == (ahead,)


def test_files_that_were_put_there_anew_are_read_anew(studio: Studio) -> None:
    folder = studio.home / "models/t2v-A14B/dev"
    shutil.copytree(SHIPPED / "t2v-A14B", folder)
    plan, silent = studio.claim().task.plan, Silent(lambda: None)
    first = studio.orchestrator.load(ModelType.T2V_A14B, plan, silent)
    assert studio.orchestrator.load(ModelType.T2V_A14B, plan, silent) is first
    shutil.copyfile(SHIPPED / "t2v-A14B/vae/config.json", folder / "vae/config.json")
    assert studio.orchestrator.load(ModelType.T2V_A14B, plan, silent) is not first
    assert len(studio.residency.residents()) == 1


def test_a_load_that_is_stopped_leaves_nothing(studio: Studio) -> None:
    def stop() -> None:
        raise Cancelled("The server is stopping.")

    with pytest.raises(Cancelled):
        studio.orchestrator.load(ModelType.T2V_A14B, studio.claim().task.plan, Silent(stop))
    assert studio.residency.residents() == ()


def test_a_cancelled_run_leaves_no_file_and_the_next_one_works(studio: Studio) -> None:
    claim = studio.claim()
    claim.halt()
    with pytest.raises(Cancelled):
        run(studio, claim)
    assert studio.files() == []
    assert run(studio, studio.claim()) == ["0.mp4"]


def test_damaged_demo_weights_are_named_before_they_are_read_and_not_kept(tmp_path: Path) -> None:
    demos = shutil.copytree(SHIPPED, tmp_path / "demo", ignore=shutil.ignore_patterns("i2v*", "ti2v*"))
    damaged = demos / "t2v-A14B/vae/diffusion_pytorch_model.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1  # still a whole file of weights, and not the shipped one
    damaged.write_bytes(content)
    with opened(tmp_path / "home", demos) as studio:
        with pytest.raises(ModelCorrupt, match=r"vae.diffusion_pytorch_model.safetensors .*Install wan22 again"):
            run(studio, studio.claim())
        assert studio.residency.residents() == ()


def content(studio: Studio, **changes: object) -> bytes:
    """The file of a task's only output."""
    claim = studio.claim(**changes)
    return studio.outputs.path(claim.task.task_id, *run(studio, claim)).read_bytes()


def test_a_lora_works_for_its_task_alone_on_a_model_that_stays_loaded(studio: Studio) -> None:
    lora_for(ModelType.T2V_A14B, studio.home / "loras" / "dusk.safetensors")
    before = content(studio)
    assert content(studio, loras=["dusk"]) != before
    assert content(studio, loras=[{"name": "dusk", "weight": 0}]) == before
    assert content(studio) == before
    assert len(studio.residency.residents()) == 1


def test_a_lora_that_has_gone_fails_its_task_and_not_the_next(studio: Studio) -> None:
    path = lora_for(ModelType.T2V_A14B, studio.home / "loras" / "dusk.safetensors")
    claim = studio.claim(loras=["dusk"])
    path.unlink()
    with pytest.raises(ModelMissing, match="There is no LoRA dusk any more"):
        run(studio, claim)
    assert studio.files() == []
    assert run(studio, studio.claim()) == ["0.mp4"]


def test_a_prompt_that_was_embedded_before_spares_the_text_encoder_and_changes_nothing(tmp_path: Path) -> None:
    prompts = PromptCache(Kept(tmp_path / "prompts", 10**6))
    with opened(tmp_path, prompts=prompts) as studio:
        first = content(studio)
        (resident,) = studio.residency.residents()
        assert resident.model.pipeline.text_encoder is not None
        studio.residency.drop(resident.key)
        assert content(studio) == first
        (resident,) = studio.residency.residents()
        assert resident.model.pipeline.text_encoder is None


class Hungry:
    """A denoising that runs out of memory the first few times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.times -= 1
        if self.times >= 0:
            raise OutOfMemory("Memory ran out while denoising.")
        return denoise_together(*args, **kwargs)


def test_a_run_out_of_memory_begins_again_without_the_other_models(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = content(studio, model_type=ModelType.TI2V_5B)
    run(studio, studio.claim())
    monkeypatch.setattr("wan22.orchestrator.orchestrator.denoise_together", Hungry(1))
    claim = studio.claim(model_type=ModelType.TI2V_5B)
    (name,) = run(studio, claim)
    assert studio.outputs.path(claim.task.task_id, name).read_bytes() == plain
    assert [resident.key.model_type for resident in studio.residency.residents()] == ["TI2V-5B"]
    assert claim.reporter.merge(claim.task).fallbacks == ("All other models were unloaded.",)


def frames(studio: Studio, claim: Claim) -> Any:
    """What a task's only output shows, (F, H, W, 3)."""
    return decode_video(studio.outputs.path(claim.task.task_id, *run(studio, claim)))


def test_a_batch_out_of_memory_is_halved_until_it_fits(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = [studio.claim(prompt=prompt, seed=n) for n, prompt in enumerate(("a cat", "a dog", "a cow", "a hen"))]
    sizes: list[int] = []

    def hungry(model: Any, request: Any, render: Any, takes: Any, image: Any, **kwargs: Any) -> Any:
        sizes.append(len(takes))
        if len(takes) > 1:
            raise OutOfMemory("Memory ran out while denoising.")
        return denoise_together(model, request, render, takes, image, **kwargs)

    monkeypatch.setattr("wan22.orchestrator.orchestrator.denoise_together", hungry)
    ends = run_together(studio, *claims)
    assert all(isinstance(end, RunResult) and len(end.outputs) == 1 for end in ends)
    assert sizes == [4, 2, 1, 1, 1, 1]
    told = ("Fewer videos were denoised at once: 2.", "Fewer videos were denoised at once: 1.")
    assert {claim.reporter.merge(claim.task).fallbacks for claim in claims} == {told}


def test_a_file_that_fails_ends_its_task_alone(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = [studio.claim(seed=n) for n in range(3)]
    create = studio.outputs.create

    def full(task_id: str, *args: Any, **kwargs: Any) -> Any:
        if task_id == claims[1].task.task_id:
            raise DiskFull("The disk is full.")
        return create(task_id, *args, **kwargs)

    monkeypatch.setattr(studio.outputs, "create", full)
    ends = run_together(studio, *claims)
    assert [type(end) for end in ends] == [RunResult, DiskFull, RunResult]


def test_the_last_rung_gives_the_same_video_in_slices(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wan22.orchestrator.rungs.SLICE_TOKENS", 16)
    plain = frames(studio, studio.claim())
    monkeypatch.setattr("wan22.orchestrator.orchestrator.denoise_together", Hungry(1))
    claim = studio.claim()
    sliced = frames(studio, claim)
    assert claim.reporter.merge(claim.task).fallbacks == ("The transformers' blocks worked on 16 tokens at once.",)
    assert int(np.abs(sliced.astype(int) - plain).max()) <= 2


def test_where_nothing_is_left_to_try_the_error_is_the_caller_s(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wan22.orchestrator.orchestrator.denoise_together", Hungry(2))
    with pytest.raises(OutOfMemory):
        run(studio, studio.claim())
    assert studio.files() == []
    assert run(studio, studio.claim()) == ["0.mp4"]


@pytest.mark.parametrize(
    ("device", "offload", "has_others", "tried"),
    [
        ("cuda:0", "none", True, ["none", "blocks 0 256", "group 256", "group 256 in slices"]),
        ("cuda:0", "model", False, ["blocks 0 256", "group 256", "group 256 in slices"]),
        ("cuda:0", "blocks 7", False, ["blocks 0 256", "group 256", "group 256 in slices"]),
        ("cuda:0", "blocks 0 512", False, ["group 256", "group 256 in slices"]),
        ("cuda:0", "blocks 0 in slices", False, ["group 256 in slices"]),
        ("cuda:0", "group", True, ["group", "group 256", "group 256 in slices"]),
        ("cuda:0", "group 256 in slices", False, []),
        ("cpu", "none", False, ["none in slices"]),
        ("cpu", "none", True, ["none", "none in slices"]),
    ],
)
def test_each_rung_needs_less_than_the_one_before(
    device: str, offload: str, has_others: bool, tried: list[str]
) -> None:
    words = offload.removesuffix(" in slices").split()
    plan = samples.plan(
        device=device,
        offload=words[0],
        resident_blocks=int(words[1]) if words[0] == "blocks" else None,
        vae_tile=int(words[-1]) if words[-1] in ("256", "512") else None,
        slices=SLICE_TOKENS if offload.endswith("in slices") else None,
    )
    found = []
    while rung := rung_below(plan, at_once=1, has_others=has_others, is_loaded=True):
        plan, has_others = rung.plan, False
        sizes = [str(size) for size in (plan.resident_blocks, plan.vae_tile) if size is not None]
        found.append(" ".join([plan.offload, *sizes, *(["in slices"] if plan.slices else [])]))
    assert found == tried


def test_what_runs_out_while_it_is_loaded_gains_nothing_by_slices() -> None:
    plan = samples.plan(device="cuda:0", offload="group", vae_tile=256)
    assert rung_below(plan, at_once=1, has_others=False, is_loaded=False) is None
    assert rung_below(plan, at_once=1, has_others=True, is_loaded=False) is not None


def test_a_model_whose_text_encoder_turns_out_damaged_is_not_kept(tmp_path: Path) -> None:
    folder = tmp_path / "models/t2v-A14B/dev"
    shutil.copytree(SHIPPED / "t2v-A14B", folder)
    file = folder / "text_encoder/model.safetensors"
    tensors = {name: value * 0 if name == "shared.weight" else value for name, value in load_file(file).items()}
    save_file(tensors, file)
    with opened(tmp_path) as studio:
        plan = studio.claim().task.plan
        with pytest.raises(ModelCorrupt, match="embedding of zeros"):
            studio.orchestrator.load(ModelType.T2V_A14B, plan, Silent(lambda: None))
        assert studio.residency.residents() == ()
        with pytest.raises(ModelCorrupt, match="embedding of zeros"):
            run(studio, studio.claim())
        assert studio.residency.residents() == ()

"""Loads a model from its folder to where its plan wants it. Downloads nothing, keeps no record of what is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wan22.errors import ModelCorrupt, ModelMissing
from wan22.models.catalogue import SPECS
from wan22.models.eight_bit import held_bytes
from wan22.models.parts import Parts
from wan22.models.variants import DTYPE_BYTES
from wan22.pipelines.components import Width, check_headers, read_component, read_index
from wan22.pipelines.latents import transformer_channels
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.memory import names_oom
from wan22.pipelines.preview import fit_preview_map
from wan22.pipelines.quiet import be_quiet
from wan22.pipelines.staged import staged_classes
from wan22.pipelines.staging import Stage, is_tight
from wan22.tasks import ModelType, Plan, Reporter
from wan22.tasks.request import EIGHT_BITS

__all__ = ["LoadedModel", "load", "preload"]

TEXT_ENCODER = "text_encoder"
_CURE_OF_OOM = "Close what else uses memory, ask for quantization int8 or fp8, or for TI2V-5B, the smallest model."


def preload() -> None:
    """Import what loading needs, which takes seconds, so that the first task need not wait for it."""
    be_quiet()
    staged_classes()
    from transformers import UMT5EncoderModel  # noqa: F401 - the library imports what is named, when it is named


@names_oom("loading the model", cure=_CURE_OF_OOM)
def load(where: Path | Parts, model_type: ModelType, *, plan: Plan, reporter: Reporter, cure: str = "") -> LoadedModel:
    """The model of these parts, or in a folder of diffusers layout, placed and in the precision that the plan says.

    The text encoder is only looked at: `LoadedModel.bring_text_encoder` loads it. `cure` ends the message about weights
    that are absent or damaged.

    Raises ModelMissing if there is nothing, ModelCorrupt naming the component that is absent, damaged or of another
    model, OutOfMemory, and Cancelled between components.
    """
    places = where if isinstance(where, Parts) else Parts(where)
    if not places.folder.is_dir():
        raise ModelMissing(f"{model_type.value} is not in {places.folder}. {cure}")
    be_quiet()
    source = _Source(places, model_type, plan, cure)
    with source.telling():
        parts = source.read_all(reporter)
        _check_kind(model_type, source.index, parts)
    return _assemble(source, parts)


@dataclass(frozen=True)
class _Source:
    """What is read, and how it is to be in memory."""

    places: Parts
    model_type: ModelType
    plan: Plan
    cure: str

    @cached_property
    def stage(self) -> Stage:
        """Of the networks that wait in RAM."""
        return Stage(self.plan.device)

    @cached_property
    def index(self) -> dict[str, Any]:
        """The content of model_index.json."""
        return read_index(self.places.index)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Where the weights are and what mends them, in the error about what is wrong with them."""
        try:
            yield
        except ModelCorrupt as error:
            told = f"{self.model_type.value} in {self.places.folder}: {error.detail}."
            raise ModelCorrupt(told, hint=self.cure or None) from error

    def read_all(self, reporter: Reporter) -> dict[str, Any]:
        """Every component but the text encoder, each placed as soon as it is read; progress is by bytes on disk."""
        names = SPECS[self.model_type].components
        if missing := self.places.missing(names):
            raise ModelCorrupt(f"it lacks {', '.join(missing)}")
        for name in names:
            check_headers(self.places, name)
        names = tuple(name for name in names if name != TEXT_ENCODER)
        sizes = {name: self.places.size_bytes(name) for name in names}
        parts: dict[str, Any] = {}
        for name in names:
            reporter.check()
            parts[name] = self.read(name)
            reporter.progress(sum(sizes[done] for done in parts) / sum(sizes.values()))
        return parts

    @names_oom("loading the text encoder", cure=_CURE_OF_OOM)
    def read_text_encoder(self, reporter: Reporter) -> Any:
        """The text encoder, placed."""
        reporter.check()
        with self.telling():
            return self.read(TEXT_ENCODER)

    def read(self, name: str) -> Any:
        """One component, placed."""
        part = read_component(self.places, name, self.index, _width(name, self.plan))
        place(name, part, self.plan, self.stage)
        return part

    @property
    def text_stamp(self) -> str:
        """Of all that an embedded prompt depends on."""
        return self._stamp("tokenizer", TEXT_ENCODER)

    @property
    def picture_stamp(self) -> str:
        """Of all that an encoded picture depends on, but for itself; where weights are streamed the VAE tiles."""
        return f"{self.model_type.value} {self._stamp('vae')} {self.plan.offload}"

    def _stamp(self, *names: str) -> str:
        """Of components, the last of which computes."""
        dtype, device = self.plan.precision[names[-1]], self.plan.device.partition(":")[0]
        read_by = (f"{name} {version(name)}" for name in ("torch", "diffusers", "transformers"))
        return " ".join((self.places.stamp(names), dtype, device, *read_by))


def _width(name: str, plan: Plan) -> Width:
    """As the plan says; a plan of an earlier version has no word for what is calculated in."""
    dtype = plan.precision.get(name.removesuffix("_2"), "fp32")
    if dtype in EIGHT_BITS:
        return Width(plan.compute or plan.precision[TEXT_ENCODER], dtype)
    return Width(dtype)


def place(name: str, part: Any, plan: Plan, stage: Stage) -> None:
    """Move a component to the device, or leave it in RAM, from where it comes as the plan says."""
    if name in ("tokenizer", "scheduler"):
        return
    if plan.offload == "none":
        part.to(plan.device)
        return
    is_text = name == TEXT_ENCODER
    is_streamed = plan.offload in ("blocks", "group") if is_text else plan.offload == "group" and name != "vae"
    if is_streamed:
        _stream(part, plan.device, by_block=is_text)
    stage.add(part, resident_blocks=plan.resident_blocks, comes_itself=is_streamed)


def _stream(part: Any, device: str, *, by_block: bool) -> None:
    """Group offloading: blocks of the text encoder, single layers of a transformer.

    The text encoder has no list of blocks at its top, so that without `block_modules` all of it would be one group.
    """
    import torch
    from diffusers.hooks import apply_group_offloading

    on_cuda = device.startswith("cuda")
    level: dict[str, Any] = {"offload_type": "leaf_level"}
    if by_block:
        level = {"offload_type": "block_level", "num_blocks_per_group": 1, "block_modules": ["encoder"]}
    tight = on_cuda and is_tight(part)
    apply_group_offloading(part, torch.device(device), use_stream=on_cuda, low_cpu_mem_usage=tight, **level)


def _check_kind(model_type: ModelType, index: dict[str, Any], parts: dict[str, Any]) -> None:
    """Weights of one model in the folder of another would fail deep inside a run, or give garbage."""
    channels = {name: part.config.in_channels for name, part in parts.items() if name.startswith("transformer")}
    wanted = transformer_channels(model_type)
    for name, found in channels.items():
        if found != wanted:
            raise ModelCorrupt(f"{name} takes {found} channels and not {wanted}: it is another model's")
    if "transformer_2" in parts and not isinstance(index.get("boundary_ratio"), float):
        raise ModelCorrupt("model_index.json has no boundary_ratio between the two transformers")


def _assemble(source: _Source, parts: dict[str, Any]) -> LoadedModel:
    """The pipelines over the components. Two share them all; the scheduler too, since each run brings its own."""
    classes, model_type, plan = staged_classes(), source.model_type, source.plan
    settings = {
        **parts,
        TEXT_ENCODER: None,
        "transformer_2": parts.get("transformer_2"),
        "boundary_ratio": source.index.get("boundary_ratio"),
    }
    # A timestep for each token is needed where the first frame's are at another one. From text all are the same, and
    # once says it too: within 1e-5, without a modulation for each token, six times the hidden states and more in fp32.
    apart = {"expand_timesteps": model_type is ModelType.TI2V_5B}
    text = None if model_type is ModelType.I2V_A14B else classes.text(**settings)
    image = None if model_type is ModelType.T2V_A14B else classes.image(**settings, **apart)
    for pipeline in (text, image):
        if pipeline:
            pipeline.set_progress_bar_config(disable=True)
            pipeline.place = plan.device
    source.stage.enter(parts["vae"])
    width = {TEXT_ENCODER: DTYPE_BYTES[plan.precision[TEXT_ENCODER]]}
    preview_map = fit_preview_map(parts["vae"])
    source.stage.clear()
    return LoadedModel(
        model_type=model_type,
        device=plan.device,
        dtypes=dict(plan.precision),
        size_bytes=sum(held_bytes(part) for part in parts.values() if hasattr(part, "parameters"))
        + source.places.loaded_bytes((TEXT_ENCODER,), width),
        text=text,
        image=image,
        preview_map=preview_map,
        stage=source.stage,
        text_stamp=source.text_stamp,
        picture_stamp=source.picture_stamp,
        read_text_encoder=source.read_text_encoder,
    )

"""Which model suits a wish: those that can't do it are ruled out by the rules of submit, the rest is ranked. Pure.

The real weights are judged, since the demo weights suit any machine and only their own prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from wan22.errors import InvalidRequest
from wan22.models.capabilities import GB, TRAINED_SIZES
from wan22.models.catalogue import SPECS, ModelSpec
from wan22.models.history import History
from wan22.models.needs import flops_for, ram_for, render_of, vram_for
from wan22.models.rules import Ask, errors_of
from wan22.models.size import size_errors
from wan22.tasks import Draft, ImageRef, ModelType

Priority = Literal["speed", "quality", "memory"]
State = Literal["ready", "demo", "partial", "missing", "corrupt"]

MAX_FRAMES = max(spec.max_frames for spec in SPECS.values())


@dataclass(frozen=True)
class Wish:
    """What is to be made, and on how much VRAM; None where that is not said."""

    has_image: bool
    has_prompt: bool
    width: int | None = None
    height: int | None = None
    num_frames: int | None = None
    vram_bytes: int | None = None
    priority: Priority = "quality"

    def size_for(self, spec: ModelSpec) -> tuple[int, int, int]:
        """Width, height and frames, the model's own where they are not said."""
        return self.width or spec.width, self.height or spec.height, self.num_frames or spec.num_frames


@dataclass(frozen=True)
class Candidate:
    """A model, how its weights stand, and how it has run with those in use."""

    spec: ModelSpec
    state: State
    state_why: str
    history: History


class Figures(BaseModel):
    """What the ranking rests on. Counted figures are of the real weights; measured ones say nothing where null."""

    model_config = ConfigDict(frozen=True)

    width: int = Field(description="Pixels, the model's own where they were not said.")
    height: int = Field(description="Pixels.")
    num_frames: int = Field(description="Frames.")
    steps: int = Field(description="The model's default.")
    least_vram_bytes: int = Field(
        description="Counted: less VRAM than this can't do it, with weights streamed from RAM."
    )
    likely_vram_bytes: int = Field(description="Counted, with head-room for fragments.")
    ram_bytes: int = Field(description="All weights in bf16.")
    relative_work: float = Field(
        description="Arithmetic by the one that needs least of those that can do it; 1 is that."
    )
    measured_total_s: float | None = Field(description="Median of tasks of this size here, with the weights in use.")


class Recommended(BaseModel):
    """A model that can do it."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    rank: int = Field(description="1 is the one to take.")
    model_type: ModelType = Field(description="Which.")
    state: State = Field(
        description="ready: real weights are in use, demo: the small ones; partial, missing, corrupt: neither."
    )
    reasons: tuple[str, ...] = Field(description="What speaks for it, and what to know.")
    figures: Figures = Field(description="What the ranking rests on.")


class RuledOut(BaseModel):
    """A model that can't do it."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model_type: ModelType = Field(description="Which.")
    reasons: tuple[str, ...] = Field(description="Everything that speaks against it, each with its cure.")


class Advice(NamedTuple):
    """The models by rank, and those that can't do it."""

    recommended: tuple[Recommended, ...]
    ruled_out: tuple[RuledOut, ...]


def recommend(wish: Wish, candidates: Iterable[Candidate]) -> Advice:
    """Every candidate in one of the two lists. Raises InvalidRequest for a wish that no model could ever fulfil."""
    _check(wish)
    judged = [(candidate, tuple(obstacles_of(wish, candidate.spec))) for candidate in candidates]
    able = sorted((one for one, against in judged if not against), key=lambda one: _order(wish, one))
    least = min((_flops(wish, one.spec) for one in able), default=1.0)
    return Advice(
        tuple(_recommended(wish, one, rank, least) for rank, one in enumerate(able, 1)),
        tuple(RuledOut(model_type=one.spec.model_type, reasons=against) for one, against in judged if against),
    )


def obstacles_of(wish: Wish, spec: ModelSpec) -> Iterator[str]:
    """Why the model can't do it; nothing if it can."""
    width, height, num_frames = wish.size_for(spec)
    image = ImageRef(id="", width=width, height=height) if wish.has_image else None
    draft = Draft(
        model_type=spec.model_type,
        prompt="any" if wish.has_prompt else None,
        width=width,
        height=height,
        num_frames=num_frames,
    )
    yield from (f"{error.field}: {error.message}" for error in errors_of(Ask(draft, spec, image, None)))
    needed = vram_for(spec, render_of(spec, width, height, num_frames)).least
    if wish.vram_bytes is not None and wish.vram_bytes < needed:
        smaller = "" if wish.vram_bytes < spec.min_vram_bytes else "ask for a smaller size or fewer frames, or "
        yield (
            f"vram_gb: {needed / GB:.1f} GB are needed for {num_frames} frames of {width}x{height}, there are "
            f"{wish.vram_bytes / GB:.1f}: {smaller}use a smaller model."
        )


def _check(wish: Wish) -> None:
    if not (wish.has_image or wish.has_prompt):
        told = "must be true where has_image is not: every model begins with a text, an image or both."
        raise InvalidRequest.of("has_prompt", told, False)
    if (wish.width is None) != (wish.height is None):
        absent = "width" if wish.width is None else "height"
        raise InvalidRequest.of(absent, "must be sent too: send both sides, such as width=1280&height=720.")
    sides = Draft(width=wish.width, height=wish.height)
    if errors := list(size_errors(sides, SPECS[ModelType.TI2V_5B], None)):  # the limits are the same for all
        raise InvalidRequest(errors)


_PRIORITIES: MappingProxyType[Priority, Callable[[Wish, ModelSpec], float]] = MappingProxyType(
    {
        "quality": lambda _, spec: -float(spec.transformer_parameters),
        "speed": lambda wish, spec: flops_for(spec, render_of(spec, *wish.size_for(spec))),
        "memory": lambda wish, spec: float(vram_for(spec, render_of(spec, *wish.size_for(spec))).least),
    }
)
"""What is to be small, by priority."""


def _order(wish: Wish, candidate: Candidate) -> tuple[bool, float]:
    """Models whose real weights are in use come first: the others can't do it as they stand."""
    return candidate.state != "ready", _PRIORITIES[wish.priority](wish, candidate.spec)


def _flops(wish: Wish, spec: ModelSpec) -> float:
    return flops_for(spec, render_of(spec, *wish.size_for(spec)))


def _recommended(wish: Wish, candidate: Candidate, rank: int, least_flops: float) -> Recommended:
    figures = _figures(wish, candidate, least_flops)
    reasons = (
        _input_reason(wish, candidate.spec),
        _priority_reason(wish, candidate.spec, figures),
        _size_reason(candidate.spec, figures),
        _vram_reason(wish, figures),
        candidate.state_why,
    )
    return Recommended(
        rank=rank,
        model_type=candidate.spec.model_type,
        state=candidate.state,
        reasons=tuple(filter(None, reasons)),
        figures=figures,
    )


def _figures(wish: Wish, candidate: Candidate, least_flops: float) -> Figures:
    spec = candidate.spec
    width, height, num_frames = wish.size_for(spec)
    vram = vram_for(spec, render_of(spec, width, height, num_frames))
    sizes = (
        one for one in candidate.history.sizes if (one.width, one.height, one.num_frames) == (width, height, num_frames)
    )
    measured = next(sizes, None)  # the most used, with guidance or without
    return Figures(
        width=width,
        height=height,
        num_frames=num_frames,
        steps=spec.defaults.steps,
        least_vram_bytes=vram.least,
        likely_vram_bytes=vram.likely,
        ram_bytes=ram_for(spec),
        relative_work=round(_flops(wish, spec) / least_flops, 2),
        measured_total_s=measured.total_s.p50 if measured else None,
    )


def _input_reason(wish: Wish, spec: ModelSpec) -> str:
    if not wish.has_image:
        return "It makes videos from a text alone."
    return (
        "It begins with the image and follows the text." if wish.has_prompt else "It makes videos from an image alone."
    )


def _priority_reason(wish: Wish, spec: ModelSpec, figures: Figures) -> str:
    if wish.priority == "quality":
        experts = "two experts" if spec.boundary_ratio else "one transformer"
        return f"Quality goes by size: {experts} of {spec.transformer_parameters / 1e9:.1f} billion parameters."
    if wish.priority == "memory":
        return f"It needs {figures.least_vram_bytes / GB:.1f} GB of VRAM and {figures.ram_bytes / GB:.1f} GB of RAM."
    if figures.relative_work == 1:
        return f"No other that can do it computes less, with its default of {figures.steps} steps."
    return f"It computes {figures.relative_work:g} times as much as the one that needs least, with its default steps."


def _size_reason(spec: ModelSpec, figures: Figures) -> str:
    trained = TRAINED_SIZES[spec.model_type]
    sizes = {*trained, *("x".join(reversed(size.split("x"))) for size in trained)}
    asked = f"{figures.width}x{figures.height}"
    length = f"videos of {spec.max_frames} frames"
    if asked in sizes:
        return f"It was trained at {asked}, on {length}."
    return f"It was trained at {' and '.join(trained)}, on {length}; {asked} is another size."


def _vram_reason(wish: Wish, figures: Figures) -> str:
    if wish.vram_bytes is None:
        return "No GPU is known of here; without one the real weights take hours."
    if wish.vram_bytes < figures.likely_vram_bytes:
        return f"VRAM is tight: {figures.likely_vram_bytes / GB:.1f} GB are likely to be used."
    return ""

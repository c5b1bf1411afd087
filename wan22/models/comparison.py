"""Two models side by side, line by line, and which of them is better for what. Pure; judges the real weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from wan22.models.capabilities import GB, Line, capabilities_of
from wan22.models.catalogue import ModelSpec
from wan22.models.history import History, SizeHistory, weights_named
from wan22.models.needs import flops_for, render_of
from wan22.tasks import ModelType

WIDTH, HEIGHT = 1280, 720
"""The size at which two models' arithmetic is compared, with the frames of `ModelSpec.num_frames`."""


@dataclass(frozen=True)
class Side:
    """One of the two: what it is, and how it has run with the weights that are in use."""

    spec: ModelSpec
    history: History

    @property
    def model_type(self) -> ModelType:
        """Which one it is."""
        return self.spec.model_type

    @property
    def flops(self) -> float:
        """Operations of a video of WIDTH x HEIGHT with its defaults, to two digits: the two A14B are alike."""
        return float(f"{flops_for(self.spec, render_of(self.spec, WIDTH, HEIGHT, self.spec.num_frames)):.1e}")


class ComparedLine(BaseModel):
    """One line of both."""

    model_config = ConfigDict(frozen=True)

    title: str = Field(description="As the report has it.")
    a: Any = Field(description="The value of the first.")
    b: Any = Field(description="The value of the second.")
    better: ModelType | None = Field(description="The one that does more, or gets by with less; null for a draw.")


class BetterFor(BaseModel):
    """A purpose for which one is the better choice."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    purpose: str = Field(description="What for.")
    model_type: ModelType = Field(description="The better one.")
    why: str = Field(description="The figures behind it.")


class ComparedSize(BaseModel):
    """A size that both have rendered here, with the same kind of weights on the same device."""

    model_config = ConfigDict(frozen=True)

    width: int = Field(description="Pixels of the file.")
    height: int = Field(description="Pixels of the file.")
    num_frames: int = Field(description="Frames of the file.")
    guided: bool = Field(description="Guidance was on.")
    a_s: float | None = Field(description="Median seconds a step of the first; null if not measured.")
    b_s: float | None = Field(description="The same of the second.")


class Comparison(BaseModel):
    """All of it."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model_a: ModelType = Field(description="The first.")
    model_b: ModelType = Field(description="The second.")
    lines: dict[str, ComparedLine] = Field(description="Every line of the capabilities, by name.")
    better_for: tuple[BetterFor, ...] = Field(description="Purposes for which one is better; a draw is left out.")
    measured: tuple[ComparedSize, ...] = Field(description="Sizes that both have rendered on this machine.")
    said: str = Field(description="What the measured sizes rest on, or why there are none.")


def compare(a: Side, b: Side) -> Comparison:
    """Both sides; turned round it says the same of the other side."""
    measured = tuple(_measured(a.history, b.history))
    return Comparison(
        model_a=a.model_type,
        model_b=b.model_type,
        lines=_lines(a, b),
        better_for=tuple(_better_for(a, b)),
        measured=measured,
        said=_said(a.history, b.history, measured),
    )


def _lines(a: Side, b: Side) -> dict[str, ComparedLine]:
    ours, theirs = capabilities_of(a.spec), capabilities_of(b.spec)
    return {
        name: ComparedLine(
            title=line.title, a=line.value, b=theirs[name].value, better=_better(name, (a, line), (b, theirs[name]))
        )
        for name, line in ours.items()
    }


_SCORES: MappingProxyType[str, Callable[[Any], float]] = MappingProxyType(
    {
        "input_types": len,
        "resolutions": len,
        "frame_range": lambda value: value["max"],
        "fps": len,
        "output_formats": len,
        "quantization": len,
        "lora": float,
        "image_to_image": float,
        "first_last_image": float,
        "batch": float,
        "min_vram_bytes": lambda value: -round(value / GB),
        "recommended_vram_bytes": lambda value: -round(value / GB),
        "min_ram_bytes": lambda value: -round(value / GB),
        "compute_capability": lambda value: -float(value),
    }
)
"""How much of a line's value is good; a line that is not here is neither better nor worse."""


def _better(name: str, one: tuple[Side, Line], other: tuple[Side, Line]) -> ModelType | None:
    score = _SCORES.get(name, lambda _: 0.0)
    return _winner((score(one[1].value), one[0]), (score(other[1].value), other[0]))


def _winner(one: tuple[float, Side], other: tuple[float, Side]) -> ModelType | None:
    if one[0] == other[0]:
        return None
    return max(one, other, key=lambda scored: scored[0])[1].model_type


def _from_text(side: Side) -> float:
    return 0.0 if side.spec.takes_image == "always" else float(side.spec.transformer_parameters)


def _from_image(side: Side) -> float:
    return 0.0 if side.spec.takes_image == "never" else float(side.spec.transformer_parameters)


def _told_from_text(best: Side, rest: Side) -> str:
    if rest.spec.takes_image == "always":
        return f"{rest.model_type.value} needs an image."
    return _told_size(best, rest)


def _told_from_image(best: Side, rest: Side) -> str:
    if rest.spec.takes_image == "never":
        return f"{rest.model_type.value} takes no image."
    return _told_size(best, rest)


def _told_size(best: Side, rest: Side) -> str:
    sizes = [f"{side.spec.transformer_parameters / 1e9:.1f} billion parameters" for side in (best, rest)]
    return f"By its size: {sizes[0]} at work in each step, {rest.model_type.value} has {sizes[1]}."


def _told_speed(best: Side, rest: Side) -> str:
    ratio = rest.flops / best.flops
    return (
        f"{rest.model_type.value} computes {ratio:.0f} times as much for {best.spec.num_frames} frames of "
        f"{WIDTH}x{HEIGHT} with its defaults."
    )


def _told_vram(best: Side, rest: Side) -> str:
    least, most = best.spec.min_vram_bytes / GB, rest.spec.min_vram_bytes / GB
    return f"{least:.0f} GB of VRAM, {rest.model_type.value} needs {most:.0f} GB."


_PURPOSES: tuple[tuple[str, Callable[[Side], float], Callable[[Side, Side], str]], ...] = (
    ("a text alone", _from_text, _told_from_text),
    ("an image to begin with", _from_image, _told_from_image),
    (
        "a first and a last image",
        lambda side: float(side.spec.takes_last_image),
        lambda _, rest: f"{rest.model_type.value} takes no last image.",
    ),
    (
        "text or image with one set of weights",
        lambda side: float(side.spec.takes_image == "optional"),
        lambda _, rest: f"{rest.model_type.value} takes only one of them to begin with.",
    ),
    ("speed", lambda side: -side.flops, _told_speed),
    ("little memory", lambda side: -float(side.spec.min_vram_bytes), _told_vram),
    (
        "long videos",
        lambda side: float(side.spec.max_frames),
        lambda best, rest: f"Up to {best.spec.max_frames} frames, {rest.model_type.value} {rest.spec.max_frames}.",
    ),
    (
        "a high frame rate",
        lambda side: float(side.spec.fps),
        lambda best, rest: f"Trained at {best.spec.fps} frames a second, {rest.model_type.value} at {rest.spec.fps}.",
    ),
)
"""What for, how good a model is for it, and why the better one is."""


def _better_for(a: Side, b: Side) -> Iterator[BetterFor]:
    for purpose, score, why in _PURPOSES:
        best = _winner((score(a), a), (score(b), b))
        if best:
            sides = (a, b) if best is a.model_type else (b, a)
            yield BetterFor(purpose=purpose, model_type=best, why=why(*sides))


def _measured(a: History, b: History) -> Iterator[ComparedSize]:
    if (a.variant, a.device) != (b.variant, b.device):
        return
    theirs = {_key(size): size for size in b.sizes}
    for key, size in sorted(((_key(size), size) for size in a.sizes), key=lambda one: one[0]):
        if other := theirs.get(key):
            width, height, num_frames, guided = key
            yield ComparedSize(
                width=width,
                height=height,
                num_frames=num_frames,
                guided=guided,
                a_s=size.seconds_per_step,
                b_s=other.seconds_per_step,
            )


def _key(size: SizeHistory) -> tuple[int, int, int, bool]:
    return size.width, size.height, size.num_frames, size.guided


def _said(a: History, b: History, measured: tuple[ComparedSize, ...]) -> str:
    if (a.variant, a.device) != (b.variant, b.device):
        return "The two run with different kinds of weights here, whose times can't be compared."
    if not measured:
        return "No size has been rendered by both on this machine with these weights, so no times are compared."
    return f"Measured here with {weights_named(a.variant or '')} on {a.device}."

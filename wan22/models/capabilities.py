"""What each model can do in this build, line by line, beside what is reported and what the weights were trained for.

Values come from the rules and the catalogue that requests are judged by, so that a line can't say what a request is
refused for. Looks at no disk and no machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field

from wan22.models.catalogue import FPS_CHOICES, MAX_AREA, MAX_SIDE, MIN_FRAMES_WITH_LAST_IMAGE, MIN_SIDE, ModelSpec
from wan22.models.geometry import render_for
from wan22.models.needs import ram_for, render_of, vram_for
from wan22.models.reported import REPORTED, Reported
from wan22.models.rules import VIDEO_FORMATS
from wan22.tasks import ModelType
from wan22.tasks.request import MAX_LORAS, MAX_VIDEOS, Quantization

GB = 1e9

# SUPPORTED_SIZES of Wan's own configuration; each also on its side.
TRAINED_SIZES = MappingProxyType(
    {
        ModelType.T2V_A14B: ("1280x720", "832x480"),
        ModelType.I2V_A14B: ("1280x720", "832x480"),
        ModelType.TI2V_5B: ("1280x704",),
    }
)


class Option(BaseModel):
    """One of the values that a line lists."""

    model_config = ConfigDict(frozen=True)

    value: str | int = Field(description="As the report or a request has it.")
    available: bool = Field(description="Whether a request may ask for it.")
    why: str = Field(default="", description="How it is done, or why it is not.")


class Line(BaseModel):
    """One line of the report's list, or one beyond it: what this build does, what is reported, what was trained."""

    model_config = ConfigDict(frozen=True)

    title: str = Field(description="As the report has it.")
    available: bool = Field(description="Whether this build does, or gets by with, what the report says.")
    value: Any = Field(description="What this build does.")
    reported: Any = Field(default=None, description="What the report says; null for a line that it does not have.")
    trained: Any = Field(default=None, description="What the real weights were trained for, where that is a matter.")
    options: tuple[Option, ...] = Field(default=(), description="Each value by itself, where there are several.")
    why: str = Field(default="", description="Where the value comes from, or what is not as reported.")


class _Subject(NamedTuple):
    spec: ModelSpec
    said: Reported
    native_area: int | None


def capabilities_of(spec: ModelSpec, *, native_area: int | None = None) -> dict[str, Line]:
    """Every line by its name. `native_area` is that of the weights in use, for how a size is rendered with them."""
    subject = _Subject(spec, REPORTED[spec.model_type], native_area)
    return {name: make(subject) for name, make in _LINES.items()}


def _model_type(of: _Subject) -> Line:
    name = of.spec.model_type.value
    return Line(title="Model Type", available=True, value=name, reported=name)


def _parameters(of: _Subject) -> Line:
    one = f"{of.spec.transformer_parameters / 1e9:.1f} billion"
    experts = f"Two experts of {one} each, one at work at a time" if of.spec.boundary_ratio else f"One of {one}"
    why = f"{experts}; counted from the configuration of {of.spec.repository}."
    return Line(title="Parameters", available=True, value=of.spec.parameters, reported=of.said.parameters, why=why)


def _primary_use(of: _Subject) -> Line:
    return Line(title="Primary Use", available=True, value=of.spec.purpose, reported=of.said.primary_use)


_INPUTS = {
    "never": ("text",),
    "always": ("image", "text and image"),
    "optional": ("text", "image", "text and image"),
}


def _input_types(of: _Subject) -> Line:
    value = _INPUTS[of.spec.takes_image]
    return Line(title="Input Types", available=True, value=value, reported=of.said.input_types)


def _resolutions(of: _Subject) -> Line:
    options = tuple(Option(value=size, available=True, why=_rendered(of, size)) for size in of.said.resolutions)
    why = (
        f"Any even size from {MIN_SIDE} to {MAX_SIDE} pixels a side and up to {MAX_AREA:,} pixels, portrait too; "
        "the file has exactly that size."
    )
    return _listed("Supported Resolutions", options, of.said.resolutions, TRAINED_SIZES[of.spec.model_type], why)


def _rendered(of: _Subject, size: str) -> str:
    width, height = map(int, size.split("x"))
    frames = of.spec.num_frames
    return render_for(
        width=width, height=height, num_frames=frames, spec=of.spec, native_area=of.native_area, keep_last=False
    ).summary


def _frame_range(of: _Subject) -> Line:
    (low, high), most = of.said.frames, of.spec.max_frames
    why = "Any number; the next larger of 4n + 1 is rendered and trimmed."
    ends = f" With a last image from {MIN_FRAMES_WITH_LAST_IMAGE}." if of.spec.takes_last_image else ""
    return Line(
        title="Frame Range",
        available=low >= 1 and high <= most,
        value={"min": 1, "max": most},
        reported={"min": low, "max": high},
        trained=most,
        why=why + ends,
    )


def _fps(of: _Subject) -> Line:
    options = _options(
        of.said.fps, FPS_CHOICES, "The frames are played at that rate; the motion is that of the trained rate."
    )
    return _listed("Supported FPS", options, of.said.fps, of.spec.fps)


def _output_formats(of: _Subject) -> Line:
    return _listed("Output Formats", _options(of.said.formats, VIDEO_FORMATS), of.said.formats)


_WIDTHS = {
    "int8": "Weights alone: read so, or narrowed while they are read. Not on GPUs without bf16.",
    "fp8": "Weights alone: read so, or narrowed while they are read. Not on Apple's GPUs.",
}


def _quantization(of: _Subject) -> Line:
    served = get_args(Quantization)
    options = tuple(Option(value=one, available=True, why=_WIDTHS.get(one, "")) for one in served)
    why = "Of the transformers, by `quantization`; the text encoder and the VAE have their own precision in `plan`."
    return _listed("Quantization", options, of.said.quantization, "bf16", why)


def _lora(of: _Subject) -> Line:
    files = "a pair for the two experts, or one file" if of.spec.boundary_ratio else "one file each"
    why = f"Up to {MAX_LORAS} by `loras`, for one task alone; {files}."
    return Line(title="LoRA Support", available=True, value=True, reported=of.said.lora, why=why)


def _image_to_image(of: _Subject) -> Line:
    able = of.spec.takes_image != "never"
    why = "`mode` image with an image, and `strength`." if able else f"{of.spec.model_type.value} takes no image."
    reported = True if of.said.image_to_image else None
    return Line(title="Image-to-Image", available=able, value=able, reported=reported, why=why)


def _last_image(of: _Subject) -> Line:
    able = of.spec.takes_last_image
    why = "`last_image` beside `image`." if able else f"{of.spec.model_type.value} takes no last image."
    return Line(title="First and Last Image", available=able, value=able, why=why)


def _still(of: _Subject) -> Line:
    return Line(title="Single Picture", available=True, value=("png", "webp"), why="`mode` image.")


def _batch(of: _Subject) -> Line:
    why = (
        f"`num_videos` up to {MAX_VIDEOS}: one after the other, with weights loaded and texts encoded once; "
        "not several in one pass."
    )
    return Line(title="Batch Processing", available=True, value=True, reported=of.said.batch, why=why)


def _min_vram(of: _Subject) -> Line:
    why = "With weights streamed from RAM, at 16 frames and 720p. Not measured on such a card yet."
    return _least("Minimum VRAM", of.spec.min_vram_bytes, of.said.min_vram_bytes, why)


def _recommended_vram(of: _Subject) -> Line:
    spec = of.spec
    needed = vram_for(spec, render_of(spec, spec.width, spec.height, spec.max_frames))
    why = (
        f"Counted for {spec.max_frames} frames of {spec.width}x{spec.height}, as it was trained: "
        f"{needed.least / GB:.1f} GB at least, this with head-room. Not measured on such a card yet."
    )
    return _least("Recommended VRAM", needed.likely, of.said.recommended_vram_bytes, why)


def _min_ram(of: _Subject) -> Line:
    why = "All weights in bf16, which wait in RAM while they are streamed to the GPU"
    needed, said = ram_for(of.spec), of.said.min_ram_bytes
    rest = "." if needed <= said else f"; with int8 or fp8 {ram_for(of.spec, in_eight_bits=True) / GB:.0f} GB."
    return _least("Minimum RAM", needed, said, why + rest)


def _compute(of: _Subject) -> Line:
    needed = ".".join(map(str, of.spec.min_compute_capability))
    has_bf16 = of.spec.min_compute_capability >= (8, 0)
    why = "The first with bf16." if has_bf16 else "Under 8.0 in fp16, since there is no bf16."
    return Line(
        title="CUDA Compute",
        available=needed <= of.said.compute_capability,
        value=needed,
        reported=of.said.compute_capability,
        why=f"{why} It also runs without a GPU, in fp32 or bf16; real weights then take hours.",
    )


def _least(title: str, needed: int, reported: int, why: str) -> Line:
    return Line(title=title, available=needed <= reported, value=needed, reported=reported, why=why)


def _options(
    reported: Iterable[str | int], served: Iterable[str | int], how: str = "", *, missing: str = "Not served yet."
) -> tuple[Option, ...]:
    """Everything reported or served, once each, the reported ones first."""
    served = tuple(served)
    every = dict.fromkeys((*reported, *served))
    return tuple(Option(value=one, available=one in served, why=how if one in served else missing) for one in every)


def _listed(
    title: str, options: tuple[Option, ...], reported: tuple[str | int, ...], trained: Any = None, why: str = ""
) -> Line:
    """A line of several values, which is as reported if each reported one is available."""
    value = tuple(option.value for option in options if option.available)
    return Line(
        title=title,
        available=set(reported) <= set(value),
        value=value,
        reported=reported,
        trained=trained,
        options=options,
        why=why,
    )


_LINES: dict[str, Callable[[_Subject], Line]] = {
    "model_type": _model_type,
    "parameters": _parameters,
    "primary_use": _primary_use,
    "input_types": _input_types,
    "resolutions": _resolutions,
    "frame_range": _frame_range,
    "fps": _fps,
    "output_formats": _output_formats,
    "quantization": _quantization,
    "lora": _lora,
    "image_to_image": _image_to_image,
    "first_last_image": _last_image,
    "single_picture": _still,
    "batch": _batch,
    "min_vram_bytes": _min_vram,
    "recommended_vram_bytes": _recommended_vram,
    "min_ram_bytes": _min_ram,
    "compute_capability": _compute,
}

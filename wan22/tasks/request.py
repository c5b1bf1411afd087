"""What a caller said (`Draft`) and what the server understood (`Request`, every default filled in).

Checks here look at one field at a time. Rules that need to know the model (its limits, which inputs it takes)
live in `models.resolve`, which turns the one into the other.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

MAX_SEED = 2**53 - 1  # the largest integer that survives a round trip through JavaScript
MAX_PROMPT_CHARS = 4_000  # far over the text encoder's 512 tokens
MAX_VIDEOS = 16
MAX_LORAS = 8
MAX_OPTIMIZATIONS = 50

Mode = Literal["video", "image"]
OutputFormat = Literal["mp4", "webm", "gif", "png", "webp"]
Quality = Literal["low", "medium", "high"]
Preset = Literal["best", "balanced", "fast", "draft"]
Quantization = Literal["fp16", "bf16", "fp32", "int8", "fp8"]
EIGHT_BITS = ("int8", "fp8")
"""Those that are narrower than what is calculated in: whole numbers, or floats, with a scale for each row."""


class ModelType(str, Enum):
    """The three models; matched without regard to case."""

    T2V_A14B = "T2V-A14B"  # text to video, two experts
    I2V_A14B = "I2V-A14B"  # image to video, two experts
    TI2V_5B = "TI2V-5B"  # text, image or both to video, one transformer

    @classmethod
    def _missing_(cls, value: object) -> ModelType | None:
        wanted = str(value).strip().casefold()
        return next((member for member in cls if member.value.casefold() == wanted), None)


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


Whole = Annotated[int, BeforeValidator(_no_bool)]
Real = Annotated[float, BeforeValidator(_no_bool), AfterValidator(_finite)]


class ImageRef(BaseModel):
    """An input picture that the server has checked, converted to RGB PNG and stored; never a client's file name."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="`upl_` and 32 hex digits of the stored PNG's sha256; may be sent again as an image.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")


def _as_uses(value: Any) -> Any:
    """One in the place of a list, and a bare name in the place of an object, mean what they seem to."""
    many = value if isinstance(value, (list, tuple)) or value is None else [value]
    return many and [{"name": one} if isinstance(one, str) else one for one in many]


def _as_list(value: Any) -> Any:
    """One in the place of a list means what it seems to."""
    return [value] if isinstance(value, str) else value


class LoraUse(BaseModel):
    """A LoRA by its name, and how strongly it works: 1 as it was trained, 0 not at all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=200, description="As the list of LoRAs has it.")
    weight: Real = Field(default=1.0, ge=-4, le=4, description="For every transformer.")
    weight_high: Real | None = Field(default=None, ge=-4, le=4, description="For the high-noise expert instead.")
    weight_low: Real | None = Field(default=None, ge=-4, le=4, description="For the low-noise expert instead.")

    def weights(self, experts: int) -> tuple[float, ...]:
        """For each transformer of a model with one or two."""
        halves = (self.weight_high, self.weight_low)
        return (self.weight,) if experts == 1 else tuple(self.weight if one is None else one for one in halves)


class Draft(BaseModel):
    """The body of a submit call. Only what is sent matters; the rest is filled in from the model's defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model_type: Annotated[ModelType | None, Field(description="T2V-A14B, I2V-A14B or TI2V-5B, in any case.")] = None
    prompt: str | None = Field(default=None, max_length=MAX_PROMPT_CHARS, description="What to show.")
    negative_prompt: str | None = Field(
        default=None, max_length=MAX_PROMPT_CHARS, description="What to avoid; Wan's own list if left out."
    )
    image: str | None = Field(
        default=None,
        description="First frame, or picture to change: data URL, base64, or id of an earlier one.",
    )
    last_image: str | None = Field(default=None, description="Last frame (I2V-A14B); same forms as `image`.")
    width: Whole | None = Field(default=None, description="Pixels; even.")
    height: Whole | None = Field(default=None, description="Pixels; even.")
    resolution: str | None = Field(default=None, description='Width and height at once, as "1280x720".')
    num_frames: Whole | None = Field(default=None, description="Frames of the video, exactly.")
    fps: Whole | None = Field(default=None, description="8, 12, 16 or 24 frames a second.")
    steps: Whole | None = Field(default=None, ge=1, le=200, description="Denoising steps.")
    guidance_scale: Real | None = Field(
        default=None,
        ge=0,
        le=30,
        description="Classifier-free guidance (of the high-noise expert); 1 turns it off.",
    )
    guidance_scale_2: Real | None = Field(default=None, ge=0, le=30, description="The same for the low-noise expert.")
    flow_shift: Real | None = Field(default=None, gt=0, le=100, description="Shift of the noise schedule.")
    seed: Whole | None = Field(default=None, ge=0, le=MAX_SEED, description="The same seed gives the same frames.")
    output_format: Annotated[OutputFormat | None, BeforeValidator(_lower)] = Field(
        default=None, description="mp4, webm or gif; png or webp for a single frame."
    )
    quality: Annotated[Quality | None, BeforeValidator(_lower)] = Field(default=None, description="Of the file.")
    quantization: Annotated[Quantization | None, BeforeValidator(_lower)] = Field(
        default=None,
        description="Of the transformers' weights; chosen for the device if left out. int8 and fp8 take half of bf16's "
        "memory.",
    )
    preset: Annotated[Preset | None, BeforeValidator(_lower)] = Field(
        default=None,
        description="best: the model's own steps; balanced: half of them; fast: a few-step LoRA that is on disk, with "
        "the steps and guidance that it wants; draft: a quarter of the steps, on a quarter of the pixels.",
    )
    loras: Annotated[tuple[LoraUse, ...] | None, BeforeValidator(_as_uses)] = Field(
        default=None, max_length=MAX_LORAS, description="LoRAs to put on the model, for this task alone."
    )
    num_videos: Whole | None = Field(
        default=None, ge=1, le=MAX_VIDEOS, description="How many, with seeds seed, seed + 1, …"
    )
    mode: Annotated[Mode | None, BeforeValidator(_lower)] = Field(
        default=None, description="video, or image for a single picture."
    )
    strength: Real | None = Field(
        default=None, gt=0, le=1, description="Image to image: how much may change, from just above 0 to 1."
    )
    priority: Whole | None = Field(default=None, ge=-100, le=100, description="Higher runs first; 0 if left out.")
    step_cache: bool | None = Field(
        default=None,
        description="Spare most of a step where little changed since the last one: faster, and another picture. Off "
        "if left out, until a gain is measured.",
    )
    enable_optimization: bool | None = Field(
        default=None, description="Whether the server may apply optimizations that keep the picture the same."
    )
    optimizations: Annotated[tuple[str, ...] | None, BeforeValidator(_as_list)] = Field(
        default=None,
        max_length=MAX_OPTIMIZATIONS,
        description="By id, as step-cache; of those that can be left out, these alone are applied.",
    )
    metadata: dict[str, Any] | None = Field(default=None, description="Your own; given back with the task.")


class Request(BaseModel):
    """The draft as the server understood it: checked against the model, with every default filled in."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model_type: ModelType = Field(description="Sent, or chosen from the inputs.")
    mode: Mode = Field(description="video, or image for a single picture.")
    prompt: str = Field(description="What to show; empty for an image alone.")
    negative_prompt: str = Field(description="What to avoid.")
    image: ImageRef | None = Field(default=None, description="First frame, or picture to change.")
    last_image: ImageRef | None = Field(default=None, description="Last frame.")
    width: int = Field(description="Pixels of the file.")
    height: int = Field(description="Pixels of the file.")
    num_frames: int = Field(description="Frames in the file.")
    fps: int = Field(description="Frames a second; 1 for a single picture.")
    steps: int = Field(description="Denoising steps of each output.")
    guidance_scale: float = Field(description="Classifier-free guidance (of the high-noise expert); 1 turns it off.")
    guidance_scale_2: float | None = Field(default=None, description="None for a model with one transformer.")
    flow_shift: float = Field(description="Shift of the noise schedule.")
    seed: int = Field(description="Of the first output; picked by the server where none was sent.")
    output_format: OutputFormat = Field(description="mp4, webm or gif; png or webp for a single picture.")
    quality: Quality = Field(description="Of the file: how hard it is compressed.")
    quantization: Quantization | None = Field(default=None, description="None: the planner chooses for the device.")
    preset: Preset | None = Field(default=None, description="best, balanced, fast or draft.")
    loras: tuple[LoraUse, ...] = Field(default=(), description="LoRAs that are put on the model, for this task alone.")
    num_videos: int = Field(default=1, description="Outputs, with seeds seed, seed + 1, …")
    strength: float | None = Field(default=None, description="Only for image to image.")
    priority: int = Field(default=0, description="Higher runs first.")
    step_cache: bool | None = Field(default=None, description="None: the planner chooses.")
    enable_optimization: bool = Field(
        default=True, description="Whether the server may apply optimizations that keep the picture the same."
    )
    optimizations: tuple[str, ...] = Field(default=(), description="Asked for by id.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="The caller's own, as it was sent.")

    @property
    def passes_a_step(self) -> float:
        """Through a transformer. Guidance over 1 takes a second one; of two experts the mean counts, since where one
        hands over to the other depends on the schedule.
        """
        scales = [scale for scale in (self.guidance_scale, self.guidance_scale_2) if scale is not None]
        return sum(2 if scale > 1 else 1 for scale in scales) / len(scales)

    @property
    def steps_taken(self) -> float:
        """Steps whose noise is at most `strength`: sigma = shift t / (1 + (shift - 1) t), solved for t; at least 1."""
        strength, shift = self.strength, self.flow_shift
        share = 1.0 if strength is None else strength / (shift - (shift - 1) * strength)
        return max(1.0, self.steps * share)

    @property
    def seeds(self) -> tuple[int, ...]:
        """One seed for each video: seed, seed + 1, …, wrapping at MAX_SEED."""
        return tuple((self.seed + n) % (MAX_SEED + 1) for n in range(self.num_videos))

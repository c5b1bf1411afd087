"""What the catalogue is made of, as frozen values: a model, its defaults, and a variant of its weights.

The figures are in `catalogue.toml`, read by `catalogue`; where a variant is on disk, `shelf` finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Literal

from wan22.tasks import ModelType

TakesImage = Literal["never", "always", "optional"]
Layout = Literal["folder", "files", "lora"]

OFFICIAL = "dev"
"""The variant of the official repository: what is meant by the real weights where nothing else is said."""

DEMO = "demo"
"""The small weights that ship with the package."""

FEW_STEP = "few-step"
"""The LoRA that the preset `fast` needs, as it is called where it is fetched."""

MAX_AREA = 2560 * 1440  # ours: four times what the models were trained at; attention's cost grows with its square
SMALL_AREA = 864 * 480  # "480p" in Wan's advice: 832x480, and 854x480, which is rendered at 864x480


@dataclass(frozen=True)
class Defaults:
    """How to sample where the caller does not say."""

    steps: int
    guidance_scale: float  # of the high-noise expert, or of the only transformer
    guidance_scale_2: float | None = None  # of the low-noise expert; None where there is one transformer
    flow_shift: float = 5.0
    flow_shift_small: float | None = None  # up to SMALL_AREA, where Wan advises another one
    step_cache: tuple[float, ...] = ()  # thresholds of the first-block cache, one for each transformer
    step_cache_spares: float | None = None  # share of the passes that it spared, as measured; None: nowhere yet

    def flow_shift_for(self, area: int) -> float:
        """The shift for frames of `area` pixels."""
        small = self.flow_shift_small
        return self.flow_shift if small is None or area > SMALL_AREA else small


@dataclass(frozen=True)
class SingleFile:
    """One file: a whole transformer or a LoRA, by its path in a repository; size and hash where they are known."""

    path: str
    size: int | None = None  # bytes
    sha256: str | None = None  # hex

    @property
    def name(self) -> str:
        """As it is called on every disk."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class VariantSpec:
    """One set of weights of a model, or a LoRA for it: what it is and where it comes from, wherever it is on disk."""

    model_type: ModelType
    name: str  # of its folder, too
    about: str
    # folder: diffusers' own, complete; files: `files` alone, the rest comes from another variant; lora: one or a pair
    layout: Layout
    precision: str  # of the transformers on disk: fp32, bf16, fp16, fp8, int8 or gguf-KIND
    defaults: Defaults
    repository: str | None = None  # None: made by a conversion, or shipped
    revision: str = "main"
    licence: str | None = None  # None: nobody said
    native_area: int | None = None  # pixels that larger sizes are rendered near to; None: rendered as asked
    files: Mapping[str, SingleFile] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )  # by component; of a LoRA by expert

    @property
    def is_lora(self) -> bool:
        """True for what is put on a model's weights and is none of them."""
        return self.layout == "lora"

    def place_of(self, component: str) -> str:
        """Where a file of `files` is inside the variant's folder."""
        name = self.files[component].name
        return name if self.is_lora else f"{component}/{name}"

    @property
    def is_demo(self) -> bool:
        """True for the small weights that ship with the package."""
        return self.name == DEMO


@dataclass(frozen=True)
class ModelSpec:
    """One model: what it takes, what it can render, what it does where the caller does not say."""

    model_type: ModelType
    slug: str  # the folder's name, exactly
    purpose: str
    size_multiple: int  # pixels a side; VAE stride times patch
    max_frames: int  # the length that the model was trained at
    width: int
    height: int
    fps: int
    defaults: Defaults
    demo_defaults: Defaults
    takes_image: TakesImage
    takes_last_image: bool
    repository: str  # of the official weights, in diffusers layout
    licence: str
    transformer: Mapping[str, Any] = field(hash=False)  # the config.json of its transformers
    transformer_parameters: int  # of one expert
    text_encoder_parameters: int
    vae_parameters: int
    min_vram_bytes: int
    min_compute_capability: tuple[int, int]
    negative_prompt: str
    boundary_ratio: float | None = None  # share of the noise above which the high-noise expert works; None: one of them
    temporal_stride: int = 4  # frames in a latent frame after the first, so that 4n + 1 frames can be rendered
    # Ours. The product promises 8 to 16 frames, and up to `max_frames` on request: Wan's own default, which is
    # `max_frames`, would make a first try on one consumer GPU take many times as long.
    num_frames: int = 16

    @property
    def parameters(self) -> dict[str, int]:
        """How many numbers the real weights are, by the name that a precision has for them; all experts together."""
        transformers = len(self.transformers) * self.transformer_parameters
        return {
            "transformer": transformers,
            "text_encoder": self.text_encoder_parameters,
            "vae": self.vae_parameters,
        }

    @property
    def transformers(self) -> tuple[str, ...]:
        """The components that are experts, or the only transformer."""
        return ("transformer",) if self.boundary_ratio is None else ("transformer", "transformer_2")

    @property
    def components(self) -> tuple[str, ...]:
        """Folders that the weights must have, as model_index.json names them."""
        return ("tokenizer", "text_encoder", *self.transformers, "scheduler", "vae")

"""The three models as data: what each takes, its limits and its official defaults, and the limits that all share.

Does not look at the disk (`variants`) and judges no request (`rules`).

Figures come from Wan's own code (Wan-Video/Wan2.2, `wan/configs` and `generate.py`) unless a comment says
that they are ours; diffusers' call defaults differ from them for every model.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from wan22.tasks import ModelType

TakesImage = Literal["never", "always", "optional"]

FPS_CHOICES = (8, 12, 16, 24)

# Sides are even because the usual pixel format of videos, yuv420p, has one colour sample for each 2x2 pixels.
MIN_SIDE = 64  # ours: below, the tokens of the 5B model (32 x 32 pixels each) are a handful
# Ours: what players decode in hardware ends there (H.264 level 5). The models themselves count 1024 tokens an axis
# (rope_max_seq_len), that is 16,384 pixels, far beyond.
MAX_SIDE = 4096
MAX_AREA = 2560 * 1440  # ours: four times what the models were trained at; attention's cost grows with its square

SMALL_AREA = 864 * 480  # "480p" in Wan's advice: 832x480, and 854x480, which is rendered at 864x480
MIN_FRAMES_WITH_LAST_IMAGE = 5  # the first and the last picture need a latent frame each, the second one has 4 frames
DEFAULT_STRENGTH = 0.6  # ours: image to image keeps the layout and changes what the prompt names

TEXT_ENCODER_PARAMETERS = 5_680_910_336  # the encoder of UMT5-XXL, the same for all three

# sample_neg_prompt of Wan's shared_config.py; the models were tuned with it, so that a translation would do less.
NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，"
    "JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，"
    "手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)


@dataclass(frozen=True)
class Defaults:
    """How to sample where the caller does not say."""

    steps: int
    guidance_scale: float  # of the high-noise expert, or of the only transformer
    guidance_scale_2: float | None  # of the low-noise expert; None where there is one transformer
    flow_shift: float
    flow_shift_small: float | None = None  # up to SMALL_AREA, where Wan advises another one

    def flow_shift_for(self, area: int) -> float:
        """The shift for frames of `area` pixels."""
        small = self.flow_shift_small
        return self.flow_shift if small is None or area > SMALL_AREA else small


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
    boundary_ratio: float | None  # share of the noise above which the high-noise expert works; None: one transformer
    takes_image: TakesImage
    takes_last_image: bool
    repository: str  # the weights in diffusers layout
    transformer_parameters: int  # of one expert; these counts are what diffusers builds from the repository's configs
    vae_parameters: int
    min_vram_bytes: int  # ours: with weights streamed from RAM, at 16 frames and 720p
    min_compute_capability: tuple[int, int]  # ours: 8.0 has bf16, without which the two experts were not tried
    revision: str = "main"  # the commit that a first download meets is kept in its folder's manifest
    licence: str = "Apache-2.0"
    negative_prompt: str = NEGATIVE_PROMPT
    temporal_stride: int = 4  # frames in a latent frame after the first, so that 4n + 1 frames can be rendered
    # Ours. The product promises 8 to 16 frames, and up to `max_frames` on request: Wan's own default, which is
    # `max_frames`, would make a first try on one consumer GPU take many times as long.
    num_frames: int = 16

    @property
    def parameters(self) -> dict[str, int]:
        """How many numbers the real weights are, by the name that a precision has for them; all experts together."""
        experts = 1 if self.boundary_ratio is None else 2
        transformers = experts * self.transformer_parameters
        return {"transformer": transformers, "text_encoder": TEXT_ENCODER_PARAMETERS, "vae": self.vae_parameters}

    @property
    def components(self) -> tuple[str, ...]:
        """Folders that the weights must have, as model_index.json names them."""
        second = () if self.boundary_ratio is None else ("transformer_2",)
        return ("tokenizer", "text_encoder", "transformer", *second, "scheduler", "vae")


# Ours: the demo weights are trained at 224x128, 160x160 and 128x224, which are multiples of 32 and so fit every model.
DEMO_NATIVE_AREA = 224 * 128

_T2V = ModelSpec(
    model_type=ModelType.T2V_A14B,
    slug="t2v-A14B",
    purpose="a video from a text",
    size_multiple=16,
    max_frames=81,
    width=1280,
    height=720,
    fps=16,
    defaults=Defaults(steps=40, guidance_scale=4.0, guidance_scale_2=3.0, flow_shift=12.0),
    # steps and shifts of all demo_defaults are ours, tuned for the demo weights and the sizes that they know
    demo_defaults=Defaults(steps=10, guidance_scale=4.0, guidance_scale_2=3.0, flow_shift=3.0),
    boundary_ratio=0.875,
    takes_image="never",
    takes_last_image=False,
    repository="Wan-AI/Wan2.2-T2V-A14B-Diffusers",
    transformer_parameters=14_288_491_584,
    vae_parameters=126_892_531,
    min_vram_bytes=10_000_000_000,
    min_compute_capability=(8, 0),
)

_I2V = ModelSpec(
    model_type=ModelType.I2V_A14B,
    slug="i2v-A14B",
    purpose="a video that begins with an image, with or without a text",
    size_multiple=16,
    max_frames=81,
    width=1280,
    height=720,
    fps=16,
    # 3.0 for 480p: docstring of `generate` in wan/image2video.py
    defaults=Defaults(steps=40, guidance_scale=3.5, guidance_scale_2=3.5, flow_shift=5.0, flow_shift_small=3.0),
    demo_defaults=Defaults(steps=16, guidance_scale=3.5, guidance_scale_2=3.5, flow_shift=3.0),
    boundary_ratio=0.900,
    takes_image="always",
    takes_last_image=True,
    repository="Wan-AI/Wan2.2-I2V-A14B-Diffusers",
    transformer_parameters=14_288_901_184,
    vae_parameters=126_892_531,
    min_vram_bytes=10_000_000_000,
    min_compute_capability=(8, 0),
)

_TI2V = ModelSpec(
    model_type=ModelType.TI2V_5B,
    slug="ti2v-5b",
    purpose="a video from a text, an image or both, with the least memory",
    size_multiple=32,
    max_frames=121,
    width=1280,
    height=704,
    fps=24,
    defaults=Defaults(steps=50, guidance_scale=5.0, guidance_scale_2=None, flow_shift=5.0),
    demo_defaults=Defaults(steps=16, guidance_scale=5.0, guidance_scale_2=None, flow_shift=5.0),
    boundary_ratio=None,
    takes_image="optional",
    takes_last_image=False,
    repository="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
    transformer_parameters=4_999_787_712,
    vae_parameters=704_688_668,
    min_vram_bytes=6_000_000_000,
    min_compute_capability=(7, 0),
)

SPECS = MappingProxyType({spec.model_type: spec for spec in (_T2V, _I2V, _TI2V)})

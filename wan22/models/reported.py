"""What the capabilities report says of each model, as data: promises, not findings. Judges nothing (`capabilities`)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from wan22.tasks import ModelType


@dataclass(frozen=True)
class Reported:
    """The report's list of one model; where it says the same of all three, the value stands here once."""

    parameters: int
    primary_use: str
    input_types: str
    image_to_image: bool
    min_vram_bytes: int
    recommended_vram_bytes: int
    min_ram_bytes: int
    compute_capability: str
    total_s: tuple[int, int]  # for 16 frames at 720p
    resolutions: tuple[str, ...] = ("854x480", "1024x576", "1280x720", "1920x1080")
    frames: tuple[int, int] = (8, 16)
    fps: tuple[int, ...] = (8, 12, 16, 24)
    formats: tuple[str, ...] = ("mp4", "webm")
    quantization: tuple[str, ...] = ("fp16", "bf16", "int8")
    lora: bool = True
    batch: bool = True


MACHINE = "an RTX 4080 with 16 GB and a Threadripper PRO"
"""What the report expects its times on; it does not say at how many steps."""

FRAMES, HEIGHT = 16, 720
TYPICAL_VRAM_BYTES = (8_000_000_000, 12_000_000_000)
MAX_VRAM_BYTES = 15_000_000_000
VIDEOS_PER_HOUR = (60, 120)

REPORTED = MappingProxyType(
    {
        ModelType.T2V_A14B: Reported(
            parameters=14_000_000_000,
            primary_use="Text-to-video generation",
            input_types="Text prompts",
            image_to_image=False,
            min_vram_bytes=10_000_000_000,
            recommended_vram_bytes=16_000_000_000,
            min_ram_bytes=32_000_000_000,
            compute_capability="8.0",
            total_s=(30, 60),
        ),
        ModelType.I2V_A14B: Reported(
            parameters=14_000_000_000,
            primary_use="Image-to-video generation",
            input_types="Image + optional text prompts",
            image_to_image=True,
            min_vram_bytes=10_000_000_000,
            recommended_vram_bytes=16_000_000_000,
            min_ram_bytes=32_000_000_000,
            compute_capability="8.0",
            total_s=(25, 50),
        ),
        ModelType.TI2V_5B: Reported(
            parameters=5_000_000_000,
            primary_use="Combined text and image input video generation",
            input_types="Text + Image prompts",
            image_to_image=True,
            min_vram_bytes=6_000_000_000,
            recommended_vram_bytes=10_000_000_000,
            min_ram_bytes=16_000_000_000,
            compute_capability="7.0",
            total_s=(20, 40),
        ),
    }
)

"""The flags of `generate` that are fields of the submit body; a parameter that takes one has the field's name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Prompt = Annotated[str, Argument(help="What to show.", show_default=False)]
Model = Annotated[
    str | None,
    Option("--model", help="T2V-A14B, I2V-A14B or TI2V-5B; if left out, T2V-A14B, or with a picture I2V-A14B."),
]
Image = Annotated[Path | None, Option("--image", help="Picture to start from: PNG, JPEG or WebP.")]
LastImage = Annotated[Path | None, Option("--last-image", help="Picture to end with (I2V-A14B).")]
Negative = Annotated[str | None, Option("--negative", help="What to avoid.")]
Size = Annotated[str | None, Option("--size", help="Width and height, as 1280x720.")]
Frames = Annotated[int | None, Option("--frames", help="Frames of the video, exactly.")]
Fps = Annotated[int | None, Option("--fps", help="8, 12, 16 or 24 frames a second.")]
Steps = Annotated[int | None, Option("--steps", help="Denoising steps.")]
Seed = Annotated[int | None, Option("--seed", help="The same seed gives the same frames.")]
Guidance = Annotated[float | None, Option("--guidance", help="Classifier-free guidance; 1 turns it off.")]
Guidance2 = Annotated[float | None, Option("--guidance-2", help="The same for the low-noise expert.")]
FlowShift = Annotated[float | None, Option("--flow-shift", help="Shift of the noise schedule.")]
Strength = Annotated[float | None, Option("--strength", help="Picture to picture: how much may change, 0 to 1.")]
Mode = Annotated[str | None, Option("--mode", help="video, or image for a single picture.")]
Format = Annotated[
    str | None, Option("--format", help="mp4, webm or gif; png or webp for one frame. If left out, as -o ends.")
]
Quality = Annotated[str | None, Option("--quality", help="low, medium or high.")]
Precision = Annotated[
    str | None, Option("--precision", help="fp16, bf16, fp32, int8 or fp8; chosen for the device if left out.")
]
Preset = Annotated[
    str | None, Option("--preset", help="best, balanced, fast (a few-step LoRA that is on disk) or draft.")
]
StepCache = Annotated[
    bool | None,
    Option("--step-cache/--no-step-cache", help="Spare most of a step where little changed since the last one."),
]
Loras = Annotated[list[str] | None, Option("--lora", help="A LoRA by its name, or as NAME=0.8. May be repeated.")]
Count = Annotated[int | None, Option("--count", help="How many, with seeds seed, seed + 1 and so on.")]

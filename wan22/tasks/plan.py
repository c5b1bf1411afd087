"""How a request will be carried out: which weights, where, how precise, and how the frames come to the asked size."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Choice(BaseModel):
    """One decision of the planner, with its reason in words for people."""

    model_config = ConfigDict(frozen=True)

    what: str
    choice: str
    why: str


class Render(BaseModel):
    """What the model is asked to render so that the delivered file is exactly what the caller asked for.

    Frames are rendered at `width` x `height` x `num_frames`, the frames listed in `keep` are kept, each is
    trimmed to the centred `crop_width` x `crop_height` and then scaled to `output_width` x `output_height`.
    """

    model_config = ConfigDict(frozen=True)

    width: int = Field(description="Pixels the model renders; a multiple of what the model needs.")
    height: int
    num_frames: int = Field(description="Frames the model renders; 4n + 1.")
    keep: tuple[int, ...] = Field(description="Indices of the rendered frames that go into the file, ascending.")
    crop_width: int = Field(description="Centred part of each rendered frame that is kept, in pixels.")
    crop_height: int
    output_width: int = Field(description="Pixels of the delivered file.")
    output_height: int
    summary: str = Field(description="The same in one sentence.")


class Plan(BaseModel):
    """The decisions for one task, made before it runs and shown to the caller."""

    model_config = ConfigDict(frozen=True)

    variant: str = Field(description="Which weights: `dev` are the real ones, `demo` the small embedded ones.")
    model_files: str = Field(description="Where they come from, as `<slug>/<variant>`.")
    device: str = Field(description="cpu, cuda:0 or mps.")
    precision: dict[str, str] = Field(description="dtype of each component: transformer, text_encoder, vae.")
    offload: str = Field(description="none, or group: weights wait in RAM and are streamed to the GPU layer by layer.")
    render: Render
    optimizations: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    predicted_peak_vram_bytes: int | None = None

"""How a request will be carried out: which weights, where, how precise, and how the frames come to the asked size."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Choice(BaseModel):
    """One decision of the planner, with its reason in words for people."""

    model_config = ConfigDict(frozen=True)

    what: str = Field(description="What was chosen, as `device`.")
    choice: str = Field(description="What it came to, as `cuda:0`.")
    why: str = Field(description="The reason.")


class Render(BaseModel):
    """What the model is asked to render so that the delivered file is exactly what the caller asked for.

    Frames are rendered at `width` x `height` x `num_frames`, the frames listed in `keep` are kept, each is
    trimmed to the centred `crop_width` x `crop_height` and then scaled to `output_width` x `output_height`.
    """

    model_config = ConfigDict(frozen=True)

    width: int = Field(description="Pixels the model renders; a multiple of what the model needs.")
    height: int = Field(description="Pixels the model renders.")
    num_frames: int = Field(description="Frames the model renders; 4n + 1.")
    keep: tuple[int, ...] = Field(description="Indices of the rendered frames that go into the file, ascending.")
    crop_width: int = Field(description="Centred part of each rendered frame that is kept, in pixels.")
    crop_height: int = Field(description="The same, from top to bottom.")
    output_width: int = Field(description="Pixels of the delivered file.")
    output_height: int = Field(description="Pixels of the delivered file.")
    summary: str = Field(description="The same in one sentence.")


class Plan(BaseModel):
    """The decisions for one task, made before it runs and shown to the caller."""

    model_config = ConfigDict(frozen=True)

    variant: str = Field(description="Which weights: `dev` are the real ones, `demo` the small shipped ones.")
    model_files: str = Field(description="Where they come from, as `<slug>/<variant>`.")
    device: str = Field(description="cpu, cuda:0 or mps.")
    precision: dict[str, str] = Field(description="dtype of each component's weights: transformer, text_encoder, vae.")
    compute: str | None = Field(default=None, description="What the transformers calculate in; null: as their weights.")
    offload: str = Field(
        description="Where weights are: none: all on the GPU; model: in RAM, and each network on the GPU for its phase "
        "alone; blocks: the same, but some of the transformer's blocks are streamed from RAM; group: all of its layers."
    )
    resident_blocks: int | None = Field(
        default=None, description="Blocks of a transformer that stay on the GPU where others are streamed; null: all."
    )
    vae_tile: int | None = Field(
        default=None, description="Pixels a side of the tiles that the VAE works in; null: on whole frames."
    )
    slices: int | None = Field(
        default=None,
        description="Tokens that a transformer's block works on at once, for about half of its memory; null: all.",
    )
    step_cache: tuple[float, ...] | None = Field(
        default=None,
        description="How much the first block of a transformer may change from one step to the next, as a share, for "
        "the rest of the pass to be spared; for each transformer, 0: never. Null: nothing is spared.",
    )
    at_once: int = Field(
        default=1, ge=1, description="Videos that are denoised together at most, of this task or of several alike."
    )
    attention: str = Field(default="native", description="Kernels of the transformers' attention: native, flash, sage.")
    compiled: bool = Field(default=False, description="Whether the transformers' blocks are compiled.")
    render: Render = Field(description="What is rendered, and what of it goes into the file.")
    optimizations: tuple[str, ...] = Field(default=(), description="Optimizations that are applied, by id.")
    choices: tuple[Choice, ...] = Field(default=(), description="What the server chose, each with its reason.")
    predicted_peak_vram_bytes: int | None = Field(default=None, description="Null where nothing is known yet.")
    vram_correction: float = Field(
        default=1.0, description="What earlier runs here needed, by what was counted; it is in the prediction already."
    )

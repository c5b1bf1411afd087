"""What a run will take, foretold before it starts."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from wan22.tasks.status import Phase


class PhaseForecast(BaseModel):
    """One phase of a run, for all of its outputs."""

    model_config = ConfigDict(frozen=True)

    phase: Phase = Field(description="Which.")
    seconds: float | None = Field(description="Null where neither this machine nor its GPU's figures tell.")
    vram_bytes: int | None = Field(description="The most that is held on the GPU, counted; null without one.")
    ram_bytes: int = Field(description="The most that weights, and without a GPU all else, hold in RAM; counted.")


class Forecast(BaseModel):
    """Of a whole run, its weights in memory already."""

    model_config = ConfigDict(frozen=True)

    phases: tuple[PhaseForecast, ...] = Field(description="In their order.")
    total_s: float | None = Field(
        description="Of the whole run, with the writing of its files where `basis` is measured or calibrated; null: "
        "not known."
    )
    peak_vram_bytes: int | None = Field(description="The highest of the phases; null without a GPU.")
    peak_ram_bytes: int = Field(description="The highest of the phases.")
    fits: Literal["yes", "tight", "no"] = Field(
        description="yes: with head-room for fragments; tight: without; no: it would run out of memory."
    )
    basis: Literal["measured", "calibrated", "published", "none"] = Field(
        description="What the seconds rest on: tasks of this size that ran here; the work, at the speed of tasks of "
        "other sizes that ran here; the GPU's published figures; or nothing."
    )
    said: str = Field(description="The same in words.")

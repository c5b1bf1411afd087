"""One finished output file, described, and the name that people keep it under; the file itself belongs to `media`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Artifact(BaseModel):
    """A video or picture under `outputs/<task_id>/`, whole and named, with what a reader must know to play it."""

    model_config = ConfigDict(frozen=True)

    index: int = Field(ge=0, description="Position among the task's outputs, from 0.")
    file_name: str = Field(description="Name inside the task's output folder; made by the server.")
    thumbnail_name: str = Field(description="Name of the still beside it; made by the server.")
    format: str = Field(description="mp4, webm, gif, png or webp.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    num_frames: int = Field(description="Frames in the file.")
    fps: int = Field(description="Frames a second; 1 for a still picture.")
    duration_s: float = Field(description="num_frames / fps; 0 for a still picture.")
    size_bytes: int
    sha256: str = Field(description="Of the file, in hex.")
    seed: int = Field(description="The seed that gives exactly these frames again.")


def name_to_keep(model_type: str, task_id: str, *, index: int, count: int) -> str:
    """A file name, without its ending, for output `index` of the `count` that a task has: model and end of the id.

    The end, since the start of the id is the clock's, so that neighbours share it. Made of our own words only.
    """
    number = f"-{index}" if count > 1 else ""
    return f"{model_type.lower()}-{task_id[-8:]}{number}"

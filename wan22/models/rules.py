"""Everything that can be wrong with a draft for its model. Fills in no default (`resolve`).

One function for each group of fields; each gives at most one error for a field, ending in its cure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wan22.errors import FieldError, InvalidRequest
from wan22.models.catalogue import FPS_CHOICES, MIN_FRAMES_WITH_LAST_IMAGE, SPECS, ModelSpec
from wan22.models.size import size_errors
from wan22.tasks import Draft, ImageRef, ModelType

VIDEO_FORMATS = ("mp4", "webm", "gif")
PICTURE_FORMATS = ("png", "webp")
MAX_METADATA_BYTES = 16_384
MAX_METADATA_DEPTH = 16  # far over any use, far under what a JSON reader stumbles over


@dataclass(frozen=True)
class Ask:
    """A draft with the model and the checked pictures that it is to be judged with."""

    draft: Draft
    spec: ModelSpec
    image: ImageRef | None
    last_image: ImageRef | None

    @property
    def is_still(self) -> bool:
        """One picture is asked for, not a video: by `mode`, or by the format where mode is not sent."""
        if self.draft.mode is None:
            return self.draft.output_format in PICTURE_FORMATS
        return self.draft.mode == "image"

    @property
    def name(self) -> str:
        """The model's name."""
        return self.spec.model_type.value


def errors_of(ask: Ask) -> list[FieldError]:
    """All that is wrong, field by field."""
    groups = (_model, _prompt, _pictures, _size, _frames, _guidance, _format, _strength, _metadata)
    return [error for group in groups for error in group(ask)]


def model_type_of(draft: Draft) -> ModelType:
    """The model that the draft names. Raises InvalidRequest that lists the three where it names none."""
    if draft.model_type is None:
        raise InvalidRequest([_no_model()])
    return draft.model_type


def _no_model() -> FieldError:
    models = "; ".join(f"{spec.model_type.value} for {spec.purpose}" for spec in SPECS.values())
    return FieldError("model_type", f"must be one of {models}.")


def _model(ask: Ask) -> Iterator[FieldError]:
    if ask.draft.model_type is None:
        yield _no_model()


def _prompt(ask: Ask) -> Iterator[FieldError]:
    image_will_do = ask.spec.takes_image == "always" or (ask.spec.takes_image == "optional" and ask.image)
    if not image_will_do and not (ask.draft.prompt or "").strip():
        needed = "a text" if ask.spec.takes_image == "never" else "a text, an image or both"
        yield FieldError("prompt", f"{ask.name} needs to be told what to show: send {needed}.")


def _pictures(ask: Ask) -> Iterator[FieldError]:
    if ask.image and ask.spec.takes_image == "never":
        others = _names(spec for spec in SPECS.values() if spec.takes_image != "never")
        yield FieldError("image", f"{ask.name} takes no image: leave it out, or use {others}.")
    if ask.image is None and ask.spec.takes_image == "always":
        others = _names(spec for spec in SPECS.values() if spec.takes_image != "always")
        yield FieldError("image", f"{ask.name} needs an image: send one, or use {others} for text alone.")
    if ask.last_image:
        yield from _last_image(ask)


def _last_image(ask: Ask) -> Iterator[FieldError]:
    if not ask.spec.takes_last_image:
        able = _names(spec for spec in SPECS.values() if spec.takes_last_image)
        yield FieldError("last_image", f"{ask.name} takes no last image: leave it out, or use {able}.")
    elif ask.is_still:
        yield FieldError("last_image", "a single picture has no last frame: leave it out, or use mode video.")
    elif ask.image is None:
        yield FieldError("last_image", "must come with a first image: send image too.")


def _size(ask: Ask) -> Iterator[FieldError]:
    return size_errors(ask.draft, ask.spec, ask.image)


def _frames(ask: Ask) -> Iterator[FieldError]:
    frames, fps = ask.draft.num_frames, ask.draft.fps
    if ask.is_still:
        yield from _still_frames(frames, fps)
        return
    ends_given = ask.last_image is not None and ask.spec.takes_last_image
    least, most = MIN_FRAMES_WITH_LAST_IMAGE if ends_given else 1, ask.spec.max_frames
    if frames is not None and not least <= frames <= most:
        whose = f"{ask.name} with a last image" if ends_given else ask.name
        told = f"must be from {least} to {most} for {whose}: send {least if frames < least else most}."
        yield FieldError("num_frames", told, frames)
    if fps is not None and fps not in FPS_CHOICES:
        nearest = min(FPS_CHOICES, key=lambda choice: abs(choice - fps))
        yield FieldError("fps", f"must be one of {', '.join(map(str, FPS_CHOICES))}: send {nearest}.", fps)


def _still_frames(frames: int | None, fps: int | None) -> Iterator[FieldError]:
    """A picture is one frame and has no rate: only a 1, as the server itself says it, or nothing is right.

    To ignore another number would hide that the caller believes to get a video.
    """
    if frames not in (None, 1):
        yield FieldError(
            "num_frames", "a single picture is one frame: leave num_frames out, or use mode video.", frames
        )
    if fps not in (None, 1):
        yield FieldError("fps", "a single picture has no frame rate: leave fps out, or use mode video.", fps)


def _guidance(ask: Ask) -> Iterator[FieldError]:
    second = ask.draft.guidance_scale_2
    if second is not None and ask.spec.boundary_ratio is None:
        told = f"{ask.name} has one transformer: leave guidance_scale_2 out and send guidance_scale."
        yield FieldError("guidance_scale_2", told, second)


def _format(ask: Ask) -> Iterator[FieldError]:
    chosen = ask.draft.output_format
    if ask.is_still and chosen in VIDEO_FORMATS:
        yield FieldError("output_format", f"{chosen} is a video format: use mode video, or png or webp.", chosen)
    elif not ask.is_still and chosen in PICTURE_FORMATS:
        instead = "webm" if chosen == "webp" else "mp4"
        yield FieldError("output_format", f"{chosen} is a picture format: use mode image, or {instead}.", chosen)


def _strength(ask: Ask) -> Iterator[FieldError]:
    if ask.draft.strength is None or (ask.is_still and ask.image):
        return
    told = "works only on an image in mode image: leave it out, or send both."
    yield FieldError("strength", told, ask.draft.strength)


def _metadata(ask: Ask) -> Iterator[FieldError]:
    if fault := _metadata_fault(ask.draft.metadata):
        yield FieldError("metadata", fault)


def _metadata_fault(metadata: Any) -> str | None:
    if not _is_shallow(metadata, MAX_METADATA_DEPTH):
        return f"must be nested at most {MAX_METADATA_DEPTH} levels deep: make it flatter."
    try:
        size = len(json.dumps(metadata, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError):
        return "must be JSON: send texts, finite numbers, true, false, null, lists and objects."
    return (
        f"must be at most {MAX_METADATA_BYTES:,} bytes as JSON: make it shorter." if size > MAX_METADATA_BYTES else None
    )


def _is_shallow(value: Any, levels: int) -> bool:
    if not isinstance(value, (dict, list, tuple)):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in inner)


def _names(specs: Iterator[ModelSpec]) -> str:
    return " or ".join(spec.model_type.value for spec in specs)
